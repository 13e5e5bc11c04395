// The page: what each button does, and what comes back to the screen.

import "./embed.js"; // before the page is shown
import { get, postNow, setKey } from "./api.js";
import { followCaptions, forgetCaptions, prepareCaptions } from "./captions.js";
import { dropClip, prepareComposer, sendAudio } from "./composer.js";
import { listenToDrops } from "./drops.js";
import { fillExpressions, prepareFace, showExpression } from "./face.js";
import { measured, show } from "./metrics.js";
import { prepareTurns, showTurn } from "./turns.js";
import { playAvatar, preparePlayback, resetAudio, setRole, audioIsOn } from "./playback.js";
import { prepareGallery } from "./gallery.js";
import { holdsToTalk, latch, prepareHold } from "./hold.js";
import { listenToKeys } from "./keys.js";
import { Connection } from "./connection.js";
import { followAlpha } from "./cutout.js";
import { Media } from "./media.js";
import { meter, wakeMeters } from "./meter.js";
import { at, draw, press, reportErrors, showCondition, showNotice, showStatus } from "./page.js";
import { preparePanel } from "./panel.js";
import { beginWithChoice, changePortrait, followPortrait, forgetPortrait, showChoice } from "./portrait.js";
import { followRecording, recording, recordingOver, startRecording, stopRecording, stopTimer }
  from "./recording.js";
import { followRooms, roomsAreFull, stopWaiting, waitForRoom } from "./rooms.js";
import { prepareShare } from "./share.js";
import { tabStorage } from "./store.js";
import { leaveScreen, prepareScreen } from "./screen.js";
import { prepareSettings } from "./settings.js";
import { mayGoOn, prepareTabs } from "./tabs.js";
import { focusAfterEnd, prepareToolbar, showStop } from "./toolbar.js";
import { prepareView } from "./view.js";
import { say, withKey } from "./words.js";

const STATE_MS = 500;
const STATE_TIMEOUT_MS = 2000;
const NAMES = {
  speaking: say("state.speaking"), listening: say("state.listening"), idle: say("state.idle"),
  asleep: say("state.asleep"), ready: say("state.ready"), busy: say("state.busy"), lost: say("state.lost"),
};
const TEXTS = {
  live: { talk: say("start.talk"), hint: say("start.hint") },
  telepresence: { talk: say("start.talk_telepresence"), hint: say("start.hint_telepresence") },
};
const OVERLAYS = { connecting: say("connection.connecting"), lost: say("connection.lost") };

const media = new Media(render, showAsking);
const connection = new Connection(phaseChanged, showTracks);
let state = { mode: "live", state: "asleep", speaker: false, viewers: 0 };
let stopMeter = null;
let metered = null; // the microphone whose level is shown
let mode = null;
let handedOver = false;
let begun = false;
let starting = null; // what is being started; another click meanwhile changes nothing

function showOverlay(text) {
  at("overlay").hidden = !text;
  at("overlay-text").textContent = text;
}

// what the browser asks, or does, before camera and microphone are there
function showAsking(text) {
  if (connection.phase === "live") {
    if (text) showStatus(text);
  } else showOverlay(text || (OVERLAYS[connection.phase] ?? ""));
}

function showMicrophone(isOn) {
  const byHold = holdsToTalk();
  const label = byHold ? say("mic.hold_title") : say("mic.mute");
  at("microphone").classList.toggle("by-hold", byHold);
  press("microphone", byHold ? isOn : !isOn);
  draw("microphone", isOn || byHold ? "microphone" : "microphone-off",
    byHold ? isOn ? say("mic.talking") : say("mic.hold") : say("mic.name"));
  at("microphone").ariaLabel = label;
  at("microphone").title = withKey(label, byHold ? say("keys.space") : "M");
  if (connection.role === "speaker" && media.track("audio") !== metered) followLevel();
}

// what was chosen, before a conversation; while somebody else talks, the face that they have
function showOwnFace() {
  const isBefore = ["ready", "connecting"].includes(connection.phase) && connection.role !== "viewer";
  showChoice(isBefore && !(state.speaker && !connection.role));
}

function render() {
  document.body.dataset.phase = connection.phase;
  document.body.dataset.role = connection.role ?? "";
  const [micOn, cameraOn] = [media.on("audio"), media.on("video")];
  showMicrophone(micOn);
  press("camera", !cameraOn);
  draw("camera", cameraOn ? "camera" : "camera-off", say("camera.name"));
  const self = at("self");
  const shown = connection.role === "speaker" && cameraOn;
  if (shown && self.srcObject !== media.stream) self.srcObject = media.stream;
  self.hidden = !shown;
  at("leave").querySelector(".name").textContent = connection.role === "viewer" ? say("leave.leave") : say("leave.end");
  at("avatar").classList.toggle("live", connection.phase === "live"); // a lost one is black: the face stays
  showOwnFace();
  showStop();
  at("avatar").title = listens() ? say("avatar.look") : "";
}

// whether the avatar is there, and does as this page asks
const listens = () => connection.phase === "live" && connection.role === "speaker";

function greeting() {
  if (connection.role === "viewer")
    return handedOver ? say("greeting.handed_over") : say("greeting.watching");
  const [micOn, cameraOn] = [media.on("audio"), media.on("video")];
  if (mode === "telepresence") {
    if (holdsToTalk() && media.track("audio")) return say("greeting.hold");
    if (!micOn) return `${say("greeting.voice_none")} ${media.why(["audio"])}`.trim();
    return audioIsOn() ? say("greeting.voice") : say("greeting.voice_silent");
  }
  if (holdsToTalk() && media.track("audio")) return say("greeting.hold");
  if (micOn && cameraOn) return say("greeting.both");
  const does = micOn ? say("greeting.audio") : cameraOn ? say("greeting.video") : say("greeting.none");
  return `${does} ${media.why()}`.trim();
}

function phaseChanged(phase, error) {
  if (phase === "live") showStatus(greeting());
  if (listens()) fillExpressions().catch((error) => showStatus(error.message, true));
  if (phase === "lost") {
    showStatus("");
    stopTimer();
  }
  showState();
  showOverlay(OVERLAYS[phase] ?? "");
  if (phase === "ready") {
    cleanUp();
    if (error) showStatus(error.message, true);
  }
  render();
}

function cleanUp() {
  media.close();
  stopMeter?.();
  stopMeter = metered = null;
  leaveScreen();
  dropClip();
  if (recording()) showNotice(say("record.lost_conversation"), true);
  recordingOver();
  forgetPortrait();
  tabStorage.removeItem("role");
  at("avatar").srcObject = at("view").srcObject = at("self").srcObject = null;
  at("view-tile").hidden = true;
  resetAudio();
}

async function showTracks(avatar, view) {
  at("view-tile").hidden = !view;
  at("view").srcObject = view;
  at("avatar").srcObject = avatar;
  await playAvatar();
}

function followLevel() {
  stopMeter?.();
  metered = media.track("audio");
  stopMeter = meter(media.stream, (level) => // nobody hears it while the connection is lost
    at("level").style.setProperty("--level", connection.phase === "lost" ? 0 : level));
}

const startTalking = reportErrors(() => start("speaker"));

async function start(role, { after = null } = {}) {
  if (starting) return;
  if (!connection.role && roomsAreFull() && !tabStorage.getItem("role")) {
    waitForRoom(startTalking);
    return;
  }
  const mine = starting = {};
  if (!connection.role) forgetCaptions();
  try {
    await startNow(role, after, () => starting === mine);
  } finally {
    if (starting === mine) starting = null;
  }
}

// `wanted` says whether it was not ended meanwhile
async function startNow(role, after, wanted) {
  showStatus("");
  handedOver = after === "speaker";
  wakeMeters();
  if (role === "viewer") media.close();
  else {
    connection.prepare();
    if (mode === "telepresence" || state.wants_camera === false) media.wished.video = false;
    await media.open();
    if (!wanted()) return;
    followLevel();
  }
  tabStorage.setItem("role", role);
  setRole(role, state);
  try {
    await connection.open(role, role === "speaker" ? media : null, Boolean(state.has_view) && role === "speaker");
  } catch (error) {
    if (error.status === 503 && state.conversations > 1) {
      waitForRoom(startTalking);
      return;
    }
    throw error.status === 409 ? new Error(say("turn.taken")) : error;
  }
  if (role === "speaker" && connection.role) await beginWithChoice(showOverlay);
}

async function leave() {
  starting = null;
  // a lost connection may never come back to save it
  if (recording() && connection.phase === "live") await stopRecording().catch(() => {});
  connection.close();
  focusAfterEnd();
  showStatus("");
  await postNow("/api/leave", "");
  setKey("");
}

// after having talked; the answer to handing over, and the state that shows it, come both
async function watch() {
  if (recording()) await stopRecording().catch(() => {});
  if (connection.role !== "speaker") return;
  dropClip();
  await start("viewer", { after: "speaker" });
}

function showMode() {
  if (mode === (state.mode ?? "live")) return;
  mode = state.mode ?? "live";
  document.body.dataset.mode = mode;
  document.body.dataset.portrait = state.changes_portrait === false ? "fixed" : "free";
  document.body.dataset.camera = state.wants_camera === false ? "unwanted" : "wanted";
  at("talk").textContent = at("settings-start").textContent = TEXTS[mode].talk;
  at("hint").textContent = TEXTS[mode].hint;
}

// the avatar's, as a word: the last that is known while the connection is there
function showState() {
  const busy = !connection.role && (state.speaker || roomsAreFull());
  // or a sentence: what is wrong
  const now = connection.phase === "lost" ? "lost" : connection.role ? state.state : busy ? "busy" : "ready";
  at("state").dataset.state = at("avatar-tile").dataset.state = connection.phase === "live" ? now : "ready";
  at("state").textContent = NAMES[now] ?? now[0].toUpperCase() + now.slice(1);
  at("state").classList.toggle("error", !(now in NAMES));
  showOwnFace();
}

// the state once more, and all that follows from it
async function refresh() {
  const { generation } = connection;
  const askedMs = performance.now();
  try {
    state = await get("/api/state", { timeoutMs: STATE_TIMEOUT_MS });
  } catch (error) {
    connection.serverIsAway = true;
    throw error;
  }
  connection.onState(state, generation, performance.now() - askedMs);
  showMode();
  followAlpha(state);
  followRooms(state, Boolean(connection.role));
  showState();
  at("text").hidden = at("say").hidden = !state.can_speak_text;
  at("unspoken").hidden = state.can_speak_text;
  document.body.dataset.text = state.can_speak_text ? "spoken" : "none";
  showTurn(state, connection.role);
  showStop();
  showExpression(state.expression, askedMs);
  if (connection.role) setRole(connection.role, state);
  if (!at("panel").hidden) show(at("metrics"), state, await measured(connection.line?.peer));
  reportErrors(() => followRecording(state.recording, connection.phase === "live"))();
  reportErrors(() => followCaptions(state, Boolean(connection.role)))();
  await followPortrait(state.portrait, askedMs);
  if (generation !== connection.generation) return;
  if (connection.role === "viewer" && state.turn?.offered) reportErrors(() => start("speaker"))();
  else if (connection.role === "speaker" && state.you === "viewer") await watch();
}

// what is wrong with what answers, as a sentence
const responderProblem = () =>
  (connection.role && !["", "hearing", "thinking"].includes(state.responder_state ?? "") ? state.responder_state : "");

// one after the other: a slow server gets no second request meanwhile
async function pollState() {
  try {
    await refresh();
    showCondition(responderProblem());
    if (!begun) {
      begun = true;
      begin();
    }
  } catch (error) {
    showCondition(connection.phase === "lost" ? "" : error.message);
  }
  setTimeout(pollState, STATE_MS);
}

function dropped(file) {
  const isThere = connection.role === "speaker";
  const isImage = file.type.startsWith("image/");
  const isFirst = isImage && mode === "live" && !connection.role; // to begin with
  if (!isThere && !isFirst) throw new Error(say("drop.too_early"));
  return isImage ? changePortrait(file, isThere, showOverlay) : sendAudio(file);
}

at("talk").onclick = reportErrors(() => (stopWaiting() ? null : start("speaker")));
at("watch").onclick = reportErrors(() => start("viewer"));
at("leave").onclick = reportErrors(leave);
async function toggle(kind) {
  const opens = !media.track(kind);
  await media.toggle(kind);
  if (!opens || !media.on(kind)) return;
  followLevel();
  showStatus(greeting());
}

at("microphone").onclick = reportErrors(() => (holdsToTalk() && media.track("audio") ? latch() : toggle("audio")));
at("camera").onclick = reportErrors(() => toggle("video"));
at("record").onclick = reportErrors(() => (recording() ? stopRecording() : startRecording()));
at("help-button").onclick = () => at("help").showModal();
document.addEventListener("pointerdown", wakeMeters, { once: true });
window.addEventListener("beforeunload", (event) => recording() && event.preventDefault());
window.addEventListener("pagehide", () => {
  if (connection.role) postNow("/api/leave", "", { keepalive: true }).catch(() => {});
});
prepareComposer(media);
preparePlayback();
prepareGallery(() => connection.role === "speaker", showOverlay, render);
prepareHold(media, listens, (isMode) => {
  render();
  if (isMode && listens()) showStatus(greeting());
});
prepareSettings(media, () => connection.phase === "ready", () => start("speaker"));
prepareCaptions();
prepareScreen();
prepareFace(listens);
prepareView();
preparePanel();
prepareShare();
prepareToolbar();
prepareTurns({ talk: () => start("speaker"), watch, free: () => !state.speaker });
listenToKeys();
listenToDrops(dropped);

prepareTabs({
  isThere: () => Boolean(connection.role),
  yieldPlace: () => {
    starting = null;
    connection.close();
    showNotice(say("tabs.given_up"));
  },
});

// once the server has answered: what this page was doing before it was loaded again
const begin = reportErrors(async () => {
  showStatus("");
  const role = tabStorage.getItem("role");
  if (role && (await mayGoOn())) await start(role);
});
pollState();
