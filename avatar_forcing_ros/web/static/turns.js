// Who may talk: a watcher asks, the one who talks hands over, and the words for it.

import { post } from "./api.js";
import { at, reportErrors, showStatus } from "./page.js";

let asked = false;

function showRequest(isTaken) {
  at("request-turn").textContent = !isTaken ? "Start talking" : asked ? "Do not wait" : "Ask to talk";
  at("request-turn").classList.toggle("primary", !isTaken || !asked);
}

// what the state says of the turn, for the role of this page
export function showTurn({ turn, speaker, viewers }, role) {
  if (role === "speaker" && turn?.waiting && at("hand-over").hidden)
    showStatus("Somebody would like to talk. You can hand over.");
  at("hand-over").hidden = !turn?.waiting;
  at("request-turn").hidden = !turn && speaker;
  asked = role === "viewer" && Boolean(turn?.asked);
  showRequest(speaker);
  const others = viewers - 1;
  at("watchers").textContent = others > 0 ? `${others} more ${others > 1 ? "watch" : "watches"}` : "";
}

// `talk` and `watch` take the role; `free` says whether nobody talks
export function prepareTurns({ talk, watch, free }) {
  at("request-turn").onclick = reportErrors(async () => {
    if (free()) {
      await talk();
      return;
    }
    const withdraws = asked;
    const { turn } = await post(withdraws ? "/api/withdraw_request" : "/api/request_turn", "");
    asked = turn.asked;
    showRequest(true);
    showStatus(withdraws ? "You only watch." : "You have asked: the one who talks sees it.");
  });
  at("hand-over").onclick = reportErrors(async () => {
    await post("/api/hand_over", "");
    await watch();
  });
}
