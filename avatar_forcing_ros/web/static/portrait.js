// The avatar's portrait: the one it has, and a new one, shown before its face is found.

import { getBlob, post } from "./api.js";
import { at, reportErrors, showNotice, showStatus } from "./page.js";
import { say } from "./words.js";

let shown; // the id of the one that is shown here; empty for the first, null where there is none yet
let own = ""; // of the one that was chosen here
let ownMs = 0; // states that were asked for earlier know nothing of it

function fill(image, blob) {
  const old = image.src;
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  if (old) URL.revokeObjectURL(old);
  return image.decode();
}

async function showPortrait() {
  await fill(at("face"), await getBlob("/api/portrait"));
}

// `id` is what the server says that it shows, in a state that was asked for at `askedMs`
export async function followPortrait(id, askedMs) {
  if (askedMs < ownMs) return;
  if (own && id !== own) {
    own = "";
    showNotice(say("portrait.reset"));
  }
  if (id === shown) return;
  const before = shown;
  shown = id;
  at("unseen").hidden = id !== null;
  try {
    if (id === null) at("face").hidden = true;
    else await showPortrait();
  } catch {
    shown = before; // tried again with the next state
  }
}

export const forgetPortrait = () => { own = ""; };

// `busy(text)` covers the avatar; without text it is uncovered
export async function changePortrait(file, busy) {
  try {
    await fill(at("preview"), file);
  } catch {
    at("preview").hidden = true;
    throw new Error(say("portrait.bad"));
  }
  busy(say("portrait.looking"));
  showStatus("");
  try {
    ({ portrait: own } = await post("/api/portrait", file));
    ownMs = performance.now();
    shown = own;
    await showPortrait();
    showStatus(say("portrait.done"));
  } finally {
    busy("");
    at("preview").hidden = true;
  }
}

export function preparePortrait(busy) {
  at("portrait").onchange = reportErrors(async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) await changePortrait(file, busy);
  });
}
