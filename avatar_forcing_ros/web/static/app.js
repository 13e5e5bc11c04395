// The page: buttons to requests, and what comes back to the screen.

import { get, getBlob, post, postJson, setKey } from "./api.js";
import { call, delays, openMedia } from "./call.js";
import { show } from "./figures.js";

const STATE_MS = 500;
const at = (id) => document.getElementById(id);
const [avatar, self, face] = [at("avatar"), at("self"), at("face")];
let peer = null;
let media = null;
let role = null;
let recorder = null;
let canSpeakText = true;
let shownBefore = null;

function say(text, trouble = false) {
  at("status").textContent = text;
  at("status").classList.toggle("trouble", trouble);
}

// run a handler; what goes wrong stands in the status line
const told = (handler) => async (event) => {
  try {
    await handler(event);
  } catch (error) {
    say(error.message, true);
  }
};

function render() {
  const talking = role === "speaker";
  at("talk").textContent = role ? (talking ? "End" : "Stop watching") : "Start talking";
  at("watch").hidden = role !== null;
  at("composer").hidden = !talking;
  self.hidden = !(talking && media?.getVideoTracks().length);
  avatar.classList.toggle("live", role !== null && avatar.readyState >= 2);
}

async function showPortrait(blob) {
  const old = face.src;
  face.src = URL.createObjectURL(blob ?? await getBlob("/api/portrait"));
  face.hidden = false;
  if (old) URL.revokeObjectURL(old);
}

async function start(wanted) {
  at("talk").disabled = at("watch").disabled = true;
  try {
    say("Connecting…");
    media = wanted === "speaker" ? await openMedia() : null;
    self.srcObject = media;
    peer = await call(wanted, media, avatar, () => lost());
    role = wanted;
    const kinds = media?.getTracks().map((track) => track.kind) ?? [];
    say(greeting(wanted, kinds));
    if (wanted === "speaker") at("text").focus();
  } catch (error) {
    closeMedia();
    throw error;
  } finally {
    at("talk").disabled = at("watch").disabled = false;
    render();
  }
}

function greeting(wanted, kinds) {
  if (wanted === "viewer") return "You are watching.";
  if (kinds.length === 2) return "It sees and hears you.";
  if (kinds.includes("audio")) return "It hears you, but does not see you.";
  if (kinds.includes("video")) return "It sees you, but does not hear you.";
  return window.isSecureContext
    ? "It neither sees nor hears you: no camera and microphone were allowed."
    : "It neither sees nor hears you: a browser gives the camera to https or localhost alone.";
}

function closeMedia() {
  media?.getTracks().forEach((track) => track.stop());
  media = self.srcObject = null;
}

function end() {
  if (peer) {
    peer.onconnectionstatechange = null;
    peer.close();
  }
  if (recorder?.state === "recording") recorder.stop();
  closeMedia();
  peer = role = avatar.srcObject = null;
  render();
}

async function leave() {
  end();
  await post("/api/leave", "");
  setKey("");
  say("Press the button to talk again.");
}

function lost() {
  const before = role;
  end();
  say("The connection broke. Connecting again…", true);
  if (before) told(() => start(before))();
}

async function sendSound(blob) {
  say("Sending…");
  const { waiting_s: waiting } = await post("/api/sound", blob);
  say(`It has ${waiting.toFixed(0)} s to say.`);
}

async function record() {
  if (recorder?.state === "recording") {
    recorder.stop();
    return;
  }
  const microphone = await navigator.mediaDevices?.getUserMedia({ audio: true });
  if (!microphone) throw new Error("This browser gives no microphone to this page.");
  const parts = [];
  recorder = new MediaRecorder(microphone);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = told(async () => {
    microphone.getTracks().forEach((track) => track.stop());
    at("record").setAttribute("aria-pressed", "false");
    at("record").textContent = "Record a clip";
    if (role === "speaker") await sendSound(new Blob(parts));
  });
  recorder.start();
  at("record").setAttribute("aria-pressed", "true");
  at("record").textContent = "Finish and say it";
  say("Recording…");
}

async function refresh() {
  const state = await get("/api/state");
  canSpeakText = state.can_speak_text;
  at("state").textContent = role ? state.state : state.speaker ? "in a conversation" : "ready";
  const rate = shownBefore === null ? null
    : Math.max(0, state.shown_frames - shownBefore.frames)
      / ((performance.now() - shownBefore.atMs) / 1000);
  shownBefore = { frames: state.shown_frames, atMs: performance.now() };
  if (document.querySelector("details").open)
    show(at("figures"), state, peer ? await delays(peer) : null, rate);
  if (!canSpeakText) {
    at("text").disabled = true;
    at("text").placeholder = "Typing needs espeak-ng: sudo apt install espeak-ng";
  }
  render();
}

at("talk").onclick = told(() => (role ? leave() : start("speaker")));
at("watch").onclick = told(() => start("viewer"));
at("stop").onclick = told(async () => {
  await post("/api/stop", "");
  say("It is silent.");
});
at("record").onclick = told(record);
at("composer").onsubmit = told(async (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text) return;
  at("text").value = "";
  await postJson("/api/say", { text });
  say("");
});
at("sound").onchange = told(async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) await sendSound(file);
});
at("portrait").onchange = told(async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  await showPortrait(file);
  avatar.classList.remove("live");
  say("Looking for the face…");
  try {
    await post("/api/portrait", file);
    say("Here it is.");
  } finally {
    await showPortrait();
    render();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && role === "speaker" && !at("ask").open) at("stop").click();
});
avatar.addEventListener("playing", render);
window.addEventListener("pagehide", () => {
  if (role) post("/api/leave", "", { keepalive: true }).catch(() => {});
});

// one after the other: a slow server is not asked twice at once
async function watchState() {
  try {
    await refresh();
  } catch (error) {
    say(error.message, true);
  }
  setTimeout(watchState, STATE_MS);
}

told(async () => {
  await showPortrait();
  say("Press the button and allow camera and microphone.");
})();
watchState();
