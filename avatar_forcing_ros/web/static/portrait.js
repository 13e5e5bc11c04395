// The avatar's portrait: the one it has, and another, shown before its face is found.

import { getBlob, post } from "./api.js";
import { at, showNotice, showStatus } from "./page.js";
import { say } from "./words.js";

let shown; // the id of the one that is shown here; empty for the first, null where there is none yet
let own = ""; // of the one that was chosen here
let ownMs = 0; // states that were asked for earlier know nothing of it
let choice = null; // the one to begin with: { image, send }; null for the server's first
let setting = 0; // how many are being set

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

// what was chosen covers the server's face until a conversation begins with it
export function showChoice(isBefore) {
  if (!setting) at("preview").hidden = !(isBefore && choice);
}

async function preview(image) {
  try {
    await fill(at("preview"), image);
  } catch {
    at("preview").hidden = true;
    throw new Error(say("portrait.bad"));
  }
}

// `image` is a Blob that stands for it; `send` makes the avatar's face of it
async function set({ image, send }, busy) {
  setting += 1;
  try {
    await preview(image);
    busy(say("portrait.looking"));
    showStatus("");
    ({ portrait: own } = await send());
    ownMs = performance.now();
    shown = own;
    await showPortrait();
    showStatus(say("portrait.done"));
  } finally {
    setting -= 1;
    busy("");
    at("preview").hidden = true;
  }
}

// `isThere`: a conversation goes on, which gets it at once; else the next one begins with it.
// `busy(text)` covers the avatar; without text it is uncovered.
async function choose(wanted, isThere, busy) {
  if (isThere) {
    await set(wanted, busy);
    choice = wanted;
    return;
  }
  await preview(wanted.image);
  choice = wanted;
}

export const changePortrait = (file, isThere, busy) =>
  choose({ image: file, send: () => post("/api/portrait", file) }, isThere, busy);

// one of the server's own: its name, and its small image
export const choosePortrait = (name, image, isThere, busy) => choose({ name, image,
  send: () => post(`/api/portraits/${encodeURIComponent(name)}`, "") }, isThere, busy);

// the name of the server's own that was chosen here; empty for the first, null for an image of one's own
export const chosenName = () => (choice ? choice.name ?? null : "");

// back to the first: `name` is its own
export async function chooseFirst(name, image, isThere, busy) {
  if (isThere) await choosePortrait(name, image, isThere, busy);
  choice = null;
}

// a conversation has begun: with what was chosen before
export async function beginWithChoice(busy) {
  if (!choice || own) return;
  try {
    await set(choice, busy);
  } catch (error) {
    choice = null; // no face: the next one begins without it
    throw error;
  }
}
