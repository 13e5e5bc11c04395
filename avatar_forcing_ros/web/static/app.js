// The page: what each button does, and what comes back to the screen.

import { get, postNow, setKey } from "./api.js";
import { dropClip, prepareComposer, sendSound } from "./composer.js";
import { measured, show } from "./figures.js";
import { prepareFloor, showFloor } from "./floor.js";
import { playAvatar, prepareHearing, soundIsOn, soundOver, suitSound } from "./hearing.js";
import { listenToKeys } from "./keys.js";
import { Link } from "./link.js";
import { Media } from "./media.js";
import { meter, wakeMeters } from "./meter.js";
import { at, draw, press, say, told } from "./page.js";
import { changePortrait, preparePortrait, showPortrait } from "./portrait.js";
import { followRecording, recording, recordingOver, startRecording, stopRecording }
  from "./recording.js";

const STATE_MS = 500;
const STATE_PATIENCE_MS = 2000;
const NAMES = {
  speaking: "Speaking", listening: "Listening", idle: "Here", asleep: "Ready", ready: "Ready",
  busy: "In a conversation",
};
const TAKEN = "Somebody else is talking with the avatar. Watch, and ask to talk.";
const WORDS = {
  live: { talk: "Start talking", hint: "Your camera and microphone go to this server alone." },
  telepresence: {
    talk: "Be its voice",
    hint: "Your voice is the avatar's voice. Your camera stays off.",
  },
};

const media = new Media(render);
const link = new Link(phaseChanged, showTracks);
let state = { mode: "live", state: "asleep", speaker: false, viewers: 0 };
let stopMeter = null;
let mode = null;
let handedOver = false;

function veil(text) {
  at("veil").hidden = !text;
  at("veil-text").textContent = text;
}

function render() {
  document.body.dataset.phase = link.phase;
  document.body.dataset.role = link.role ?? "";
  const [heard, seen] = [media.on("audio"), media.on("video")];
  press("microphone", !heard);
  draw("microphone", heard ? "microphone" : "microphone-off", "Mic");
  press("camera", !seen);
  draw("camera", seen ? "camera" : "camera-off", "Camera");
  const self = at("self");
  const shown = link.role === "speaker" && seen;
  if (shown && self.srcObject !== media.stream) self.srcObject = media.stream;
  self.hidden = !shown;
  at("leave").querySelector(".name").textContent = link.role === "viewer" ? "Leave" : "End";
  at("avatar").classList.toggle("live", link.phase === "live"); // a lost one is black: the face stays
}

function greeting() {
  if (link.role === "viewer")
    return handedOver ? "You have handed over. You are watching now." : "You are watching.";
  const [heard, seen] = [media.on("audio"), media.on("video")];
  if (mode === "telepresence") {
    if (!heard) return "No microphone: the avatar has no voice of yours.";
    return `Your voice is the avatar's voice.${soundIsOn() ? "" : " Its sound is off here."}`;
  }
  if (heard && seen) return "It sees and hears you.";
  if (heard) return "It hears you, but does not see you.";
  if (seen) return "It sees you, but does not hear you.";
  return window.isSecureContext
    ? "It neither sees nor hears you: no camera and microphone were allowed."
    : "It neither sees nor hears you: a browser gives the camera to https or localhost alone.";
}

function phaseChanged(phase, error) {
  if (phase === "live") say(greeting());
  if (phase === "lost") say("");
  veil({ connecting: "Connecting…", lost: "The connection broke. Connecting again…" }[phase] ?? "");
  if (phase === "ready") {
    tidy();
    if (error) say(error.message, true);
  }
  render();
}

function tidy() {
  media.close();
  stopMeter?.();
  stopMeter = null;
  dropClip();
  recordingOver();
  sessionStorage.removeItem("role");
  at("avatar").srcObject = at("view").srcObject = at("self").srcObject = null;
  at("view-tile").hidden = true;
  soundOver();
}

async function showTracks(avatar, view) {
  at("view-tile").hidden = !view;
  at("view").srcObject = view;
  at("avatar").srcObject = avatar;
  await playAvatar();
}

async function start(role, { after = null } = {}) {
  say("");
  handedOver = after === "speaker";
  wakeMeters();
  if (role === "viewer") media.close();
  else {
    if (mode === "telepresence" || state.wants_camera === false) media.wished.video = false;
    await media.open();
    stopMeter?.();
    stopMeter = meter(media.stream, (level) => at("level").style.setProperty("--level", level));
  }
  sessionStorage.setItem("role", role);
  suitSound(role, state);
  try {
    await link.open(role, role === "speaker" ? media : null, Boolean(state.view) && role === "speaker");
  } catch (error) {
    throw error.status === 409 ? new Error(TAKEN) : error;
  }
}

async function leave() {
  if (recording()) await stopRecording().catch(() => {});
  link.close();
  say("");
  await postNow("/api/leave", "");
  setKey("");
}

// after having talked; the answer to handing over, and the state that tells of it, come both
async function watch() {
  if (recording()) await stopRecording().catch(() => {});
  if (link.role !== "speaker") return;
  dropClip();
  await start("viewer", { after: "speaker" });
}

function showMode() {
  if (mode === (state.mode ?? "live")) return;
  mode = state.mode ?? "live";
  document.body.dataset.mode = mode;
  document.body.dataset.camera = state.wants_camera === false ? "unwanted" : "wanted";
  at("talk").textContent = WORDS[mode].talk;
  at("hint").textContent = WORDS[mode].hint;
}

// the state once more, and all that follows from it
async function refresh() {
  const { turn } = link;
  const askedMs = performance.now();
  try {
    state = await get("/api/state", { patienceMs: STATE_PATIENCE_MS });
  } catch (error) {
    link.serverIsAway = true;
    throw error;
  }
  link.told(state, turn, performance.now() - askedMs);
  showMode();
  const busy = !link.role && state.speaker;
  const now = link.role ? state.state : busy ? "busy" : "ready"; // or a sentence: what is wrong
  at("state").dataset.state = at("avatar-tile").dataset.state = link.phase === "live" ? now : "ready";
  at("state").textContent = NAMES[now] ?? now[0].toUpperCase() + now.slice(1);
  at("state").classList.toggle("trouble", !(now in NAMES));
  at("text").hidden = at("say").hidden = !state.can_speak_text;
  at("unspoken").hidden = state.can_speak_text;
  showFloor(state, link.role);
  if (link.role) suitSound(link.role, state);
  if (!at("panel").hidden) show(at("figures"), state, await measured(link.line?.peer));
  await followRecording(state.recording);
  if (turn !== link.turn) return;
  if (link.role === "viewer" && state.floor?.offered) await start("speaker");
  else if (link.role === "speaker" && state.you === "viewer") await watch();
}

// one after the other: a slow server is not asked twice at once
async function watchState() {
  try {
    await refresh();
    if (at("status").textContent.startsWith("The server does not answer")) say("");
  } catch (error) {
    if (link.phase !== "lost") say(error.message, true);
  }
  setTimeout(watchState, STATE_MS);
}

function dropped(file) {
  if (link.role !== "speaker") throw new Error("Start talking first, then drop it again.");
  return file.type.startsWith("image/") ? changePortrait(file, veil) : sendSound(file);
}

function listenToDrops() {
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    at("drop").hidden = false;
  });
  at("drop").addEventListener("dragleave", () => { at("drop").hidden = true; });
  document.addEventListener("drop", told(async (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    at("drop").hidden = true;
    await dropped(event.dataTransfer.files[0]);
  }));
}

at("talk").onclick = told(() => start("speaker"));
at("watch").onclick = told(() => start("viewer"));
at("leave").onclick = told(leave);
at("microphone").onclick = told(() => media.toggle("audio"));
at("camera").onclick = told(() => media.toggle("video"));
at("record").onclick = told(() => (recording() ? stopRecording() : startRecording()));
at("figures-button").onclick = () => {
  at("panel").hidden = !at("panel").hidden;
  at("figures-button").setAttribute("aria-expanded", String(!at("panel").hidden));
};
at("help-button").onclick = () => at("help").showModal();
document.addEventListener("pointerdown", wakeMeters, { once: true });
window.addEventListener("beforeunload", (event) => recording() && event.preventDefault());
window.addEventListener("pagehide", () => {
  if (link.role) postNow("/api/leave", "", { keepalive: true }).catch(() => {});
});
prepareComposer(media);
prepareHearing();
preparePortrait(veil);
prepareFloor({ talk: () => start("speaker"), watch, free: () => !state.speaker });
listenToKeys();
listenToDrops();

told(async () => {
  say("");
  await refresh();
  await showPortrait();
  const role = sessionStorage.getItem("role"); // what this page was doing before it was loaded again
  if (role) await start(role);
})();
setTimeout(watchState, STATE_MS);
