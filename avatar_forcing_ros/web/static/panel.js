// Panels at the side, of which one is open: by its button; closed by that, by its own ✕ or by Escape.

import { at } from "./page.js";

const PANELS = { panel: "metrics-button", history: "history-button" }; // and their buttons

const opened = () => Object.keys(PANELS).find((id) => !at(id).hidden);

function show(id, isOpen) {
  at(id).hidden = !isOpen;
  at(PANELS[id]).setAttribute("aria-expanded", String(isOpen));
}

// whether `element` is in the panel that is open
export const inPanel = (element) => Boolean(opened() && at(opened()).contains(element));

// whether there was one to close
export function closePanel() {
  const id = opened();
  if (!id) return false;
  const hasFocus = at(id).contains(document.activeElement);
  show(id, false);
  if (hasFocus) at(PANELS[id]).focus();
  return true;
}

export function preparePanel() {
  for (const [id, button] of Object.entries(PANELS)) {
    at(button).onclick = () => {
      const wasOpen = opened() === id;
      closePanel();
      if (wasOpen) return;
      show(id, true);
      at(`${id}-close`).focus();
    };
    at(`${id}-close`).onclick = closePanel;
  }
}
