// The avatar's audio on this device: how loud, and on or off as was chosen here, or by default for the role.

import { at, draw, press, reportErrors } from "./page.js";
import { remember, remembered } from "./store.js";
import { say } from "./words.js";

const chosen = {}; // by role: whether it was turned on or off here
let role = null;
let onByDefault = true;
let blocked = false; // some browsers play no audio before a touch

export const audioIsOn = () => !at("avatar").muted;

function show() {
  const on = !blocked && (chosen[role] ?? onByDefault);
  at("avatar").muted = !on;
  at("unmute").hidden = !blocked;
  press("mute", !on);
  draw("mute", on ? "sound" : "sound-off", on ? say("avatar.sound_on") : say("avatar.sound_off"));
}

// who talks through the avatar would get their own speech back, and late
export function setRole(newRole, { mode, has_robot_audio: withRobotAudio }) {
  role = newRole;
  onByDefault = role !== "speaker" || mode !== "telepresence" || withRobotAudio === true;
  show();
}

export async function playAvatar() {
  try {
    await at("avatar").play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // another connection came in between
    blocked = true; // video first
    show();
    at("avatar").play().catch(() => {});
  }
}

export function resetAudio() {
  blocked = false;
  show();
}

function setVolume(percent) {
  at("avatar").volume = percent / 100;
  at("volume").value = percent;
  at("volume").style.setProperty("--share", `${percent}%`);
}

export function preparePlayback() {
  setVolume(Number(remembered("volume") || 100));
  const { volume } = at("avatar");
  at("avatar").volume = 0.5;
  at("volume").hidden = at("avatar").volume !== 0.5; // a phone whose own buttons alone set it
  at("avatar").volume = volume;
  at("volume").oninput = ({ target }) => {
    setVolume(target.value);
    remember("volume", target.value);
    if (audioIsOn() === target.value > 0) return;
    chosen[role] = target.value > 0;
    blocked = false;
    show();
  };
  at("mute").onclick = at("unmute").onclick = reportErrors(() => {
    chosen[role] = !audioIsOn();
    blocked = false;
    show();
  });
}
