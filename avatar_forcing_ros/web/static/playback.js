// The avatar's sound on this device: on or off as was chosen here, or as suits the part.

import { at, draw, press, told } from "./page.js";

const chosen = {}; // by part: whether it was turned on or off here
let part = null;
let suits = true;
let heldBack = false; // some browsers give no sound before a touch

export const soundIsOn = () => !at("avatar").muted;

function show() {
  const on = !heldBack && (chosen[part] ?? suits);
  at("avatar").muted = !on;
  at("unmute").hidden = !heldBack;
  press("hear", !on);
  draw("hear", on ? "sound" : "sound-off", on ? "Sound on" : "Sound off");
}

// who talks through the avatar would hear themselves again, and late
export function suitSound(role, { mode, operator_hears: hears }) {
  part = role;
  suits = role !== "speaker" || mode !== "telepresence" || hears === true;
  show();
}

export async function playAvatar() {
  try {
    await at("avatar").play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // another connection came in between
    heldBack = true; // picture first
    show();
    at("avatar").play().catch(() => {});
  }
}

export function soundOver() {
  heldBack = false;
  show();
}

export function prepareHearing() {
  at("hear").onclick = at("unmute").onclick = told(() => {
    chosen[part] = !soundIsOn();
    heldBack = false;
    show();
  });
}
