// Who may talk: a watcher asks, the one who talks hands over, and the words for it.

import { post } from "./api.js";
import { at, reportErrors, showStatus } from "./page.js";

let asked = false;

// what the state says of the turn, for the role of this page
export function showTurn({ turn, speaker, viewers }, role) {
  if (role === "speaker" && turn?.waiting && at("hand-over").hidden)
    showStatus("Somebody would like to talk. You can hand over.");
  at("hand-over").hidden = !turn?.waiting;
  at("request-turn").hidden = !turn && speaker;
  at("request-turn").textContent = speaker ? (asked ? "You have asked" : "Ask to talk") : "Start talking";
  at("request-turn").disabled = asked && speaker;
  const others = viewers - 1;
  at("watchers").textContent = others > 0 ? `${others} more ${others > 1 ? "watch" : "watches"}` : "";
  if (role !== "viewer") asked = false;
}

// `talk` and `watch` take the role; `free` says whether nobody talks
export function prepareTurns({ talk, watch, free }) {
  at("request-turn").onclick = reportErrors(async () => {
    if (free()) {
      await talk();
      return;
    }
    await post("/api/request_turn", "");
    asked = true;
    at("request-turn").disabled = true;
    at("request-turn").textContent = "You have asked";
    showStatus("The one who talks sees that you ask.");
  });
  at("hand-over").onclick = reportErrors(async () => {
    await post("/api/hand_over", "");
    await watch();
  });
}
