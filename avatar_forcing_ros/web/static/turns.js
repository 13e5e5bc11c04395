// Who may talk: a watcher asks, the one who talks hands over, and the words for it.

import { post } from "./api.js";
import { at, say, told } from "./page.js";

let asked = false;

// what the state says of the floor, for the part that this page plays
export function showFloor({ floor, speaker, viewers }, role) {
  if (role === "speaker" && floor?.waiting && at("hand-over").hidden)
    say("Somebody would like to talk. You can hand over.");
  at("hand-over").hidden = !floor?.waiting;
  at("ask-floor").hidden = !floor && speaker;
  at("ask-floor").textContent = speaker ? (asked ? "You have asked" : "Ask to talk") : "Start talking";
  at("ask-floor").disabled = asked && speaker;
  const others = viewers - 1;
  at("watchers").textContent = others > 0 ? `${others} more ${others > 1 ? "watch" : "watches"}` : "";
  if (role !== "viewer") asked = false;
}

// `talk` and `watch` take the part; `free` says whether nobody talks
export function prepareFloor({ talk, watch, free }) {
  at("ask-floor").onclick = told(async () => {
    if (free()) {
      await talk();
      return;
    }
    await post("/api/ask", "");
    asked = true;
    at("ask-floor").disabled = true;
    at("ask-floor").textContent = "You have asked";
    say("The one who talks sees that you ask.");
  });
  at("hand-over").onclick = told(async () => {
    await post("/api/hand_over", "");
    await watch();
  });
}
