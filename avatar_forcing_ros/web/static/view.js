// The robot's camera: as soon as no image comes a veil says so, and how old the last one is.

import { at } from "./page.js";
import { amount, say } from "./words.js";

const STALE_MS = 700; // a camera gives ten or more a second
const TICK_MS = 100;

let newestMs = null; // when the newest image was shown
let frames = 0;

function age(ms) {
  const seconds = ms / 1000;
  if (seconds < 10) return amount(seconds, "second", 1);
  const [minutes, rest] = [Math.floor(seconds / 60), Math.floor(seconds % 60)];
  return [minutes ? amount(minutes, "minute") : "", amount(rest, "second")].join(" ").trim();
}

function tick() {
  const video = at("view");
  if (at("view-tile").hidden) {
    newestMs = null;
    frames = 0;
    return;
  }
  if (!video.requestVideoFrameCallback) { // an older browser counts alone
    const now = video.getVideoPlaybackQuality().totalVideoFrames;
    if (now !== frames) newestMs = performance.now();
    frames = now;
  }
  const oldMs = performance.now() - newestMs;
  at("veil").hidden = newestMs !== null && oldMs < STALE_MS;
  at("veil-text").textContent = newestMs === null
    ? say("view.waiting") : say("view.stopped");
  at("veil-age").textContent = newestMs === null ? "" : say("view.age", { age: age(oldMs) });
}

export function prepareView() {
  const video = at("view");
  const onFrame = () => {
    newestMs = performance.now();
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback?.(onFrame);
  setInterval(tick, TICK_MS);
}
