// Push to talk: the microphone is open while its button, or Space, is held. A muted one opens so too.

import { at } from "./page.js";
import { remember, remembered } from "./store.js";

let media = null;
let isThere = () => false;
let changed = () => {};
let by = ""; // what holds it: "key" or "pointer"; or empty
let pressedMs = -Infinity; // when a pointer let go of the button: the click that follows is no other
const AFTER_MS = 400;

export const holdsToTalk = () => media.byHold;

function hold(on, its = "") {
  by = its;
  if (media.held === on) return;
  media.hold(on);
  changed();
}

// whether Space talks now, for what has the focus
export function beginByKey(target) {
  const button = target.closest("button, label, summary");
  const byKeyboard = button?.matches(":focus-visible, :has(:focus-visible)");
  // a button that the keyboard came to is pressed; one that was clicked only has the focus still
  const elsewhere = !button || (media.byHold && !byKeyboard) || (media.byHold && button === at("microphone"));
  if (!isThere() || !elsewhere || !media.track("audio") || (media.on("audio") && by !== "key")) return false;
  hold(true, "key");
  return true;
}

export function endByKey() {
  if (by !== "key") return false;
  hold(false);
  return true;
}

// where the end of holding may not be seen
function letGo() {
  if (by) hold(false);
}

// for those who cannot hold a button: a click without a pointer, as of M, begins or ends
export function latch() {
  if (performance.now() - pressedMs < AFTER_MS) return;
  hold(!media.held);
}

export function setHoldMode(on) {
  remember("hold", on ? "on" : "");
  media.setByHold(on);
  changed(true);
}

// `there` says whether this page talks; `onChange(isMode)` is called when
// the microphone opens or closes, or this becomes the way to open it
export function prepareHold(its, there, onChange) {
  [media, isThere, changed] = [its, there, onChange];
  media.setByHold(remembered("hold") === "on");
  const button = at("microphone");
  button.addEventListener("pointerdown", (event) => {
    if (!media.byHold || !isThere() || event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    hold(true, "pointer");
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    button.addEventListener(kind, () => {
      if (by !== "pointer") return;
      pressedMs = performance.now();
      hold(false);
    });
  }
  button.addEventListener("contextmenu", (event) => { if (media.byHold) event.preventDefault(); });
  window.addEventListener("blur", letGo);
  document.addEventListener("visibilitychange", () => { if (document.hidden) letGo(); });
}
