// The panel of metrics.

import { received } from "./webrtc.js";
import { amount, number, say } from "./words.js";

const ms = (value) => amount(value, "millisecond");

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
    [say("figures.delay"), ms(state.playout_delay_ms + (state.graph_delay_ms ?? 0) + networkMs + (line.bufferMs ?? NaN))],
    [`· ${say("figures.delay_server")}`, ms(state.playout_delay_ms ?? NaN)],
    ...(state.mode === "telepresence" ? [[`· ${say("figures.delay_robot")}`, ms(state.graph_delay_ms ?? NaN)]] : []),
    [`· ${say("figures.delay_network")}`, ms(networkMs)],
    [`· ${say("figures.delay_browser")}`, ms(line.bufferMs ?? NaN)],
    [say("figures.frames"), say("figures.a_second", { number: number(line.frameRate) })],
    [say("figures.data"), amount(line.kilobits, "kilobit-per-second")],
    [say("figures.compute"), ms(state.compute_ms ?? NaN)],
    [`· ${say("figures.compute_worst")}`, ms(state.compute_p99_ms ?? NaN)],
    [say("figures.reduced"), state.reduced ? say("figures.yes") : say("figures.no")],
    [say("figures.seed"), state.seed],
    [say("figures.skipped"), state.skipped_blocks],
    [say("figures.failed"), state.failed_blocks],
    [state.mode === "telepresence" ? say("figures.face_telepresence") : say("figures.face"),
      state.face_visible ? say("figures.seen") : say("figures.not_seen")],
    ...(state.wants_camera === false ? []
      : [[say("figures.camera_dropped"), (state.camera_dropped ?? 0) + (state.dropped_user_frames ?? 0)]]),
    [say("figures.to_say"), amount(state.waiting_avatar_audio_samples / 16000, "second", 1)],
    [say("figures.viewers"), state.viewers],
  ];
  list.replaceChildren(...rows.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value ?? "–";
    return [term, description];
  }));
}
