// Who may talk: a watcher asks, the one who talks hands over, and the words for it.

import { post } from "./api.js";
import { at, reportErrors, showStatus } from "./page.js";
import { say } from "./words.js";

let asked = false;

function showRequest(isTaken) {
  at("request-turn").textContent = !isTaken ? say("start.talk")
    : asked ? say("turn.withdraw") : say("turn.ask");
  at("request-turn").classList.toggle("primary", !isTaken || !asked);
}

// what the state says of the turn, for the role of this page
export function showTurn({ turn, speaker, viewers }, role) {
  if (role === "speaker" && turn?.waiting && at("hand-over").hidden)
    showStatus(say("turn.wanted"));
  at("hand-over").hidden = !turn?.waiting;
  at("request-turn").hidden = !turn && speaker;
  asked = role === "viewer" && Boolean(turn?.asked);
  showRequest(speaker);
  const others = viewers - 1;
  at("watchers").textContent = others > 0 ? say("turn.watchers", { count: others }) : "";
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
    showStatus(withdraws ? say("turn.withdrawn") : say("turn.asked"));
  });
  at("hand-over").onclick = reportErrors(async () => {
    await post("/api/hand_over", "");
    await watch();
  });
}
