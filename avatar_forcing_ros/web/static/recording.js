// The record button: the server writes an MP4 of what is shown, and this page fetches it.

import { getFile, postJson } from "./api.js";
import { at, draw, press, showStatus } from "./page.js";
import { say } from "./words.js";

let begunMs = null;
let startedMs = 0;
let timer = null;
let stopped = false; // the time, while nothing is known of the server

export const recording = () => begunMs !== null;

function tick() {
  if (stopped) return;
  const seconds = Math.floor((performance.now() - begunMs) / 1000);
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  at("recorded").textContent = text;
  draw("record", "record", text);
}

// while the connection is lost nothing is known of it
export function stopTimer() {
  if (!recording()) return;
  stopped = true;
  at("recorded").classList.add("stopped");
}

export function recordingOver() {
  clearInterval(timer);
  begunMs = null;
  stopped = false;
  at("recorded").classList.remove("stopped");
  at("recorded").hidden = true;
  press("record", false);
  draw("record", "record", say("record.name"));
}

async function download({ dropped, problem }) {
  const { blob, name } = await getFile("/api/recording");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  const lost = dropped ? say("record.missing", { count: dropped }) : "";
  showStatus([say("record.saved", { name }), lost, problem].filter(Boolean).join(" "), Boolean(problem));
}

export async function startRecording() {
  await postJson("/api/record", { on: true });
  begunMs = startedMs = performance.now();
  at("recorded").hidden = false;
  press("record", true);
  tick();
  timer = setInterval(tick, 500);
  showStatus(say("record.started"));
}

export async function stopRecording() {
  recordingOver();
  showStatus(say("record.saving"));
  const state = await postJson("/api/record", { on: false });
  if (!state.ready) throw new Error(state.problem || say("record.nothing"));
  await download(state);
}

// `state.recording`: the server ends a recording that has become too long, or was lost
export async function followRecording(state, isLive) {
  if (!recording() || !state) return;
  if (stopped && isLive && state.on) {
    begunMs = performance.now() - 1000 * state.s;
    stopped = false;
    at("recorded").classList.remove("stopped");
  }
  if (state.on || performance.now() - startedMs < 2000) return;
  recordingOver();
  if (state.ready) await download(state);
  else showStatus(state.problem || say("record.lost"), true);
}
