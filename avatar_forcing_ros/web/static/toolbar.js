// The toolbar is one stop of the Tab key; arrows, Home and End go from button to button.

import { at } from "./page.js";
import "./words.js"; // which sets the direction

const bar = document.querySelector("[role=toolbar]");
const ahead = document.documentElement.dir === "rtl" ? -1 : 1; // the next one is at the left there
const STEPS = { ArrowLeft: -ahead, ArrowRight: ahead, Home: -Infinity, End: Infinity };
let chosen = null; // the one that had the focus last
let byPointer = false; // who clicks has the arrows for the avatar's eyes

const items = () => [...bar.querySelectorAll("button, select, input")]
  .filter((one) => (one.closest("label") ?? one).checkVisibility());

// to be called when other buttons are there than before
export function showStop() {
  const there = items();
  if (!there.includes(chosen)) chosen = null;
  const stop = chosen ?? there[0];
  bar.querySelectorAll("button, select, input").forEach((one) => {
    one.tabIndex = one === stop ? 0 : -1;
  });
}

// whether `event` is a key that moves the focus within the toolbar
export function moveFocus({ key, target }) {
  if (byPointer || !(key in STEPS) || !bar.contains(target)) return false;
  const there = items();
  const at = there.indexOf(target) + STEPS[key];
  // round at the ends with an arrow, to the ends with Home and End
  there[Number.isFinite(at) ? (at + there.length) % there.length : at < 0 ? 0 : there.length - 1].focus();
  return true;
}

export function prepareToolbar() {
  bar.addEventListener("focusin", ({ target }) => {
    chosen = target;
    showStop();
  });
  bar.addEventListener("pointerdown", () => { byPointer = true; });
  document.addEventListener("keydown", ({ key }) => { if (key === "Tab") byPointer = false; }, { capture: true });
  showStop();
}

// after a conversation the buttons are gone, and the focus with them
export function focusAfterEnd() {
  if (document.activeElement === document.body || !document.activeElement?.checkVisibility()) at("talk").focus();
}
