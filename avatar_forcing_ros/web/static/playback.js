// The avatar's audio on this device: on or off as was chosen here, or by default for the role.

import { at, draw, press, reportErrors } from "./page.js";

const chosen = {}; // by role: whether it was turned on or off here
let role = null;
let onByDefault = true;
let blocked = false; // some browsers play no sound before a touch

export const soundIsOn = () => !at("avatar").muted;

function show() {
  const on = !blocked && (chosen[role] ?? onByDefault);
  at("avatar").muted = !on;
  at("unmute").hidden = !blocked;
  press("mute", !on);
  draw("mute", on ? "sound" : "sound-off", on ? "Sound on" : "Sound off");
}

// who talks through the avatar would hear themselves again, and late
export function setRole(newRole, { mode, has_robot_audio: hearsRobot }) {
  role = newRole;
  onByDefault = role !== "speaker" || mode !== "telepresence" || hearsRobot === true;
  show();
}

export async function playAvatar() {
  try {
    await at("avatar").play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // another connection came in between
    blocked = true; // picture first
    show();
    at("avatar").play().catch(() => {});
  }
}

export function resetSound() {
  blocked = false;
  show();
}

export function preparePlayback() {
  at("mute").onclick = at("unmute").onclick = reportErrors(() => {
    chosen[role] = !soundIsOn();
    blocked = false;
    show();
  });
}
