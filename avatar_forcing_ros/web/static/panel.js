// The panel of figures: opened by its button, closed by that, by its own or by Escape.

import { at } from "./page.js";

function show(isOpen) {
  at("panel").hidden = !isOpen;
  at("metrics-button").setAttribute("aria-expanded", String(isOpen));
}

// whether there was one to close
export function closePanel() {
  if (at("panel").hidden) return false;
  const hasFocus = at("panel").contains(document.activeElement);
  show(false);
  if (hasFocus) at("metrics-button").focus();
  return true;
}

export function preparePanel() {
  at("metrics-button").onclick = () => {
    if (closePanel()) return;
    show(true);
    at("panel-close").focus();
  };
  at("panel-close").onclick = closePanel;
}
