// What the avatar says: typed, sent as a file, or spoken as a clip.

import { post, postJson } from "./api.js";
import { at, press, reportErrors, showStatus } from "./page.js";
import { chosenVoice } from "./voices.js";
import { amount, say } from "./words.js";

const MAX_TEXT_LENGTH = 1000; // the server's
const NEAR_LENGTH = 900;
const MAX_CLIP_MS = 55000; // the server takes a minute

let recorder = null;

export async function sendAudio(blob) {
  showStatus(say("say.sending"));
  const { waiting_s: waiting } = await post("/api/speak_audio", blob);
  showStatus(say("say.waiting", { time: amount(Math.ceil(waiting), "second") }));
}

function clipOf(track) {
  const parts = [];
  recorder = new MediaRecorder(new MediaStream([track]));
  const limit = setTimeout(() => recorder.stop(), MAX_CLIP_MS);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = reportErrors(async () => {
    clearTimeout(limit);
    track.stop();
    press("clip", false);
    recorder = null;
    await sendAudio(new Blob(parts));
  });
  recorder.start();
}

export function dropClip() {
  if (!recorder) return;
  recorder.onstop = null;
  recorder.stop();
  recorder = null;
  press("clip", false);
}

async function toggleClip(media) {
  if (recorder) {
    recorder.stop();
    return;
  }
  const own = media.track("audio")?.clone();
  const track = own ?? (await navigator.mediaDevices?.getUserMedia({ audio: true })
    .catch(() => null))?.getAudioTracks()[0];
  if (!track) throw new Error(say("media.no_microphone"));
  track.enabled = true;
  clipOf(track);
  press("clip", true);
  showStatus(say("say.clip_speak"));
}

const typed = () => at("text").value.trim();
const lengthOf = (text) => [...text].length; // in characters, as the server counts

// how much is too much, before it is sent
function showLength() {
  const length = lengthOf(typed());
  at("text-length").hidden = length < NEAR_LENGTH;
  at("text-length").textContent = `${length} / ${MAX_TEXT_LENGTH}`;
  at("text-length").classList.toggle("over", length > MAX_TEXT_LENGTH);
  at("text").setAttribute("aria-invalid", String(length > MAX_TEXT_LENGTH));
}

export function prepareComposer(media) {
  at("text").oninput = showLength;
  at("clip").onclick = reportErrors(() => toggleClip(media));
  at("silence").onclick = reportErrors(async () => {
    dropClip();
    await post("/api/stop_speaking", "");
    showStatus(say("silence.done"));
  });
  at("composer").onsubmit = reportErrors(async (event) => {
    event.preventDefault();
    const text = typed();
    if (!text) return;
    if (lengthOf(text) > MAX_TEXT_LENGTH)
      throw new Error(say("say.too_long", { most: MAX_TEXT_LENGTH, length: lengthOf(text) }));
    at("text").value = "";
    showLength();
    try {
      const voice = await chosenVoice();
      await postJson("/api/speak_text", voice ? { text, voice } : { text });
      showStatus("");
    } catch (error) {
      at("text").value ||= text;
      showLength();
      throw error;
    }
  });
  at("audio-file").onchange = reportErrors(async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) await sendAudio(file);
  });
}
