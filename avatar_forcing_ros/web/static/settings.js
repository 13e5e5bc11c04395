// The dialog of devices, voice and captions; before a conversation it shows what it will see and hear.

import { rememberDevice, canChooseOutput, devices, useOutput } from "./devices.js";
import { holdsToTalk, setHoldMode } from "./hold.js";
import { meter, wakeMeters } from "./meter.js";
import { at, reportErrors } from "./page.js";
import { fillVoices } from "./voices.js";
import { say } from "./words.js";

const dialog = at("settings");
const TONE_S = 0.6;
let media = null;
let isReady = () => true;
let heard = null; // a copy of the microphone's track, which sounds while that is muted
let stopMeter = () => {};

async function fillList(kind) {
  const select = at(`choose-${kind}`);
  const all = await devices(kind);
  const track = media.track(kind);
  const current = track ? track.getSettings().deviceId : select.value;
  select.replaceChildren(...all.map(({ id, label }) => new Option(label, id)));
  if (all.some(({ id }) => id === current)) select.value = current;
  select.disabled = all.length === 0;
  if (!all.length) select.append(new Option(say("devices.none")));
}

async function fillOutputs() {
  const all = canChooseOutput ? await devices("output") : [];
  at("output-field").hidden = all.length === 0;
  const select = at("choose-output");
  select.replaceChildren(...all.map(({ id, label }) => new Option(label, id)));
  select.value = at("avatar").sinkId || all.find(({ id }) => id === "default")?.id || all[0]?.id || "";
}

function stopHearing() {
  stopMeter();
  stopMeter = () => {};
  heard?.stop();
  heard = null;
}

function showLevel() {
  stopHearing();
  heard = media.track("audio")?.clone() ?? null;
  if (!heard) return;
  heard.enabled = true;
  stopMeter = meter(new MediaStream([heard]), (level) =>
    at("settings-level").style.setProperty("--level", level));
}

// what there is, and why something is not
async function show() {
  if (!dialog.open) return;
  const video = media.track("video");
  const preview = at("settings-preview");
  preview.hidden = !video;
  if (video && preview.srcObject?.getVideoTracks()[0] !== video) preview.srcObject = new MediaStream([video]);
  at("settings-camera-off").hidden = Boolean(video);
  at("settings-problem").textContent = media.why(
    document.body.dataset.camera === "unwanted" ? ["audio"] : ["video", "audio"]);
  showLevel();
  await Promise.all([fillList("audio"), fillList("video"), fillOutputs()]);
}

async function open() {
  dialog.returnValue = "";
  if (document.body.dataset.camera === "unwanted") media.wished.video = false;
  at("hold-mode").checked = holdsToTalk();
  wakeMeters();
  dialog.showModal();
  dialog.scrollTop = 0;
  [at("settings-start"), at("settings-done")].find((one) => one.checkVisibility()).focus();
  fillVoices(at("voice")).then((any) => { at("voice-field").hidden = !any; });
  await show();
  if (!isReady()) return;
  media.wished.audio = true; // what was muted in an earlier one is tried anew
  await media.open();
  await show();
}

// a short tone where the avatar will be heard
async function playTone() {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 523.25 });
  const loudness = new GainNode(context, { gain: 0 });
  const out = context.createMediaStreamDestination();
  loudness.gain.setTargetAtTime(0.25, 0, 0.02);
  loudness.gain.setTargetAtTime(0, TONE_S / 2, 0.1);
  tone.connect(loudness).connect(out);
  const player = new Audio();
  player.srcObject = out.stream;
  player.volume = at("avatar").volume;
  await useOutput(player);
  await player.play();
  tone.start();
  tone.onended = () => context.close();
  tone.stop(context.currentTime + 2 * TONE_S);
}

// `ready` says whether no conversation goes on; `start` begins one
export function prepareSettings(its, ready, start) {
  [media, isReady] = [its, ready];
  const { asking } = media;
  media.asking = (text) => {
    at("settings-asking").textContent = text;
    asking(dialog.open ? "" : text);
  };
  at("settings-button").onclick = at("first-settings").onclick = reportErrors(open);
  for (const kind of ["audio", "video"]) {
    at(`choose-${kind}`).onchange = reportErrors(async ({ target }) => {
      rememberDevice(kind, target.value);
      stopHearing(); // some devices are given once
      await media.change(kind).finally(show);
    });
  }
  at("choose-output").onchange = reportErrors(async ({ target }) => {
    rememberDevice("output", target.value);
    await useOutput(at("avatar"));
  });
  at("test-sound").onclick = reportErrors(playTone);
  at("hold-mode").onchange = ({ target }) => setHoldMode(target.checked);
  at("settings-start").onclick = () => { dialog.returnValue = "start"; };
  dialog.addEventListener("close", reportErrors(async () => {
    stopHearing();
    at("settings-preview").srcObject = null;
    if (!isReady()) return;
    if (dialog.returnValue === "start") await start();
    else media.close();
  }));
  navigator.mediaDevices?.addEventListener("devicechange", reportErrors(show));
  useOutput(at("avatar"));
}
