// The panel of figures.

import { received } from "./call.js";

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
  const wayMs = (line.wayMs ?? NaN) / 2;
  const rows = [
    ["From the moment to your screen", ms(state.reaction_ms + wayMs + (line.bufferMs ?? NaN))],
    ["· made and shown by the server", ms(state.reaction_ms)],
    ["· network", ms(wayMs)],
    ["· waits in this browser", ms(line.bufferMs ?? NaN)],
    ["Pictures here", a(line.frameRate, "a second")],
    ["Picture data", a(line.kilobits, "kbit/s")],
    ["A block is computed in", ms(state.compute_ms)],
    ["· at worst (99 of 100)", ms(state.compute_p99_ms)],
    ["Computes less, for lack of time", state.reduced ? "yes" : "no"],
    ["Blocks left out", state.skipped_blocks],
    ["Your face", state.face_visible ? "seen" : "not seen"],
    ["Camera pictures left out", (state.camera_dropped ?? 0) + (state.dropped_pictures ?? 0)],
    ["Still to be said", a(state.waiting_voice_samples / 16000, "s", 1)],
    ["Who watch", state.viewers],
  ];
  list.replaceChildren(...rows.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const told = document.createElement("dd");
    term.textContent = name;
    told.textContent = value ?? "–";
    return [term, told];
  }));
}
