// Keys to buttons. While something is typed, letters are letters.

import { lookByKey, openExpressions } from "./face.js";
import { beginByKey, endByKey } from "./hold.js";
import { at } from "./page.js";
import { closePanel, inPanel } from "./panel.js";
import { moveFocus } from "./toolbar.js";

const BUTTONS = {
  m: ["microphone"], s: ["mute"], v: ["camera"], c: ["clip"], p: ["portrait-button", "first-portrait"],
  r: ["record"], h: ["hand-over", "request-turn"], f: ["metrics-button"], "?": ["help-button"],
  d: ["settings-button", "first-settings"], t: ["history-button"], g: ["full-screen"],
};

const visible = (id) => at(id).closest("label, button").checkVisibility();

function go(event) {
  const typing = event.target.closest("input:not([type=file]), select");
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (moveFocus(event)) {
    event.preventDefault();
    return;
  }
  if (event.key === "Escape") {
    if (document.fullscreenElement) return; // which the browser leaves
    // in the panel, or where nothing is to be silenced, it closes the panel
    if ((inPanel(event.target) || !visible("silence")) && closePanel()) return;
    typing?.blur();
    if (typing !== at("expression") && visible("silence")) at("silence").click();
    return;
  }
  if (!typing && event.key === " " && beginByKey(event.target)) {
    event.preventDefault();
    return;
  }
  if (typing || event.repeat) return;
  if (event.key === "Enter" || event.key === " ") {
    if (event.target.closest("button, label")) return;
    event.preventDefault();
    if (visible("talk")) at("talk").click();
    else at("text").focus();
    return;
  }
  if (visible("expression")) {
    const isOpening = event.key.toLowerCase() === "e";
    if (isOpening) openExpressions();
    if (isOpening || lookByKey(event.key)) {
      event.preventDefault();
      return;
    }
  }
  const id = BUTTONS[event.key.toLowerCase()]?.find(visible);
  if (id) {
    event.preventDefault();
    at(id).click();
  }
}

export function listenToKeys() {
  document.addEventListener("keydown", go);
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && endByKey()) event.preventDefault();
  });
}
