// The panel of metrics.

import { received } from "./webrtc.js";

const ms = (value) => (Number.isFinite(value) ? `${Math.round(value)} ms` : "–");
const a = (value, unit, digits = 0) =>
  (Number.isFinite(value) ? `${value.toFixed(digits)} ${unit}` : "–");

let before = null;

// rates since the last call, and delays; empty while nothing is received
export async function measured(peer) {
  if (!peer) {
    before = null;
    return {};
  }
  const now = { ...await received(peer), atMs: performance.now(), peer };
  const last = before?.peer === peer ? before : null;
  before = now;
  if (!last) return now;
  const seconds = (now.atMs - last.atMs) / 1000;
  return {
    ...now,
    frameRate: (now.frames - last.frames) / seconds,
    kilobits: (now.bytes - last.bytes) / 125 / seconds,
  };
}

export function show(list, state, line) {
  const networkMs = (line.roundTripMs ?? NaN) / 2;
  const rows = [
    ["From the moment to your screen", ms(state.playout_delay_ms + (state.graph_delay_ms ?? 0) + networkMs + (line.bufferMs ?? NaN))],
    ["· made and shown by the server", ms(state.playout_delay_ms ?? NaN)],
    ...(state.mode === "telepresence" ? [["· over the robot's network", ms(state.graph_delay_ms ?? NaN)]] : []),
    ["· network", ms(networkMs)],
    ["· waits in this browser", ms(line.bufferMs ?? NaN)],
    ["Frames here", a(line.frameRate, "a second")],
    ["Video data", a(line.kilobits, "kbit/s")],
    ["A block is computed in", ms(state.compute_ms ?? NaN)],
    ["· at worst (99 of 100)", ms(state.compute_p99_ms ?? NaN)],
    ["Computes less, for lack of time", state.reduced ? "yes" : "no"],
    ["Its motion is drawn with seed", state.seed],
    ["Blocks skipped", state.skipped_blocks],
    ["Blocks failed", state.failed_blocks],
    [state.mode === "telepresence" ? "Face before the avatar" : "Your face",
      state.face_visible ? "seen" : "not seen"],
    ...(state.wants_camera === false ? []
      : [["Camera frames dropped", (state.camera_dropped ?? 0) + (state.dropped_user_frames ?? 0)]]),
    ["Still to be said", a(state.waiting_avatar_audio_samples / 16000, "s", 1)],
    ["Who watch", state.viewers],
  ];
  list.replaceChildren(...rows.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value ?? "–";
    return [term, description];
  }));
}
