// What the avatar and the user said: the newest over the picture, all of it to read and to copy.

import { get } from "./api.js";
import { at, reportErrors, showStatus } from "./page.js";
import { remember, remembered } from "./store.js";
import { say } from "./words.js";

const MAX_KEPT = 200;
const SHOWN = 2; // over the picture
const READ_MS = 2500; // to begin with, and for each character
const CHARACTER_MS = 70;

let kept = []; // { number, who, text, language }, the oldest first
let newest = 0; // number of the newest that was asked for
let asking = false;
let comingMs = new Map(); // by number: when it came
let thinking = false;
let speaking = false;

export const captionsAreOn = () => remembered("captions") !== "off";

function paragraph({ who, text, language }, kind) {
  const element = document.createElement(kind);
  const name = document.createElement("strong");
  const words = document.createElement("span");
  name.textContent = say(`history.${who}`);
  words.textContent = text;
  words.dir = "auto";
  if (language) words.lang = language;
  element.className = who;
  element.append(name, " ", words);
  return element;
}

// those that can still be read: as long as that takes, and while the avatar speaks its newest
function current() {
  const nowMs = performance.now();
  const spoken = kept.findLast((one) => one.who === "avatar");
  return kept.slice(-SHOWN).filter((one) => (speaking && one === spoken)
    || nowMs - comingMs.get(one.number) < READ_MS + CHARACTER_MS * one.text.length);
}

function showNewest() {
  const shown = captionsAreOn() ? current() : [];
  const dots = captionsAreOn() && thinking;
  const key = `${shown.map(({ number }) => number)} ${dots}`;
  if (at("captions").dataset.shown === key) return;
  at("captions").dataset.shown = key;
  at("captions").replaceChildren(...shown.map((one) => paragraph(one, "p")));
  if (dots) {
    const waiting = document.createElement("p");
    waiting.className = "thinking";
    waiting.append(...[1, 2, 3].map(() => document.createElement("i")));
    at("captions").append(waiting);
  }
}

function showAll() {
  const list = at("history-list");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const there = new Set([...list.children].map((one) => Number(one.dataset.number)));
  const wanted = new Set(kept.map(({ number }) => number));
  [...list.children].forEach((one) => { if (!wanted.has(Number(one.dataset.number))) one.remove(); });
  for (const one of kept.filter(({ number }) => !there.has(number))) {
    const line = paragraph(one, "li");
    line.dataset.number = one.number;
    list.append(line);
  }
  at("history-empty").hidden = kept.length > 0;
  at("history-copy").hidden = kept.length === 0;
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

export function forgetCaptions() {
  kept = [];
  newest = 0;
  comingMs = new Map();
  thinking = speaking = false;
  showAll();
  showNewest();
}

async function fetchNew() {
  const after = newest;
  const { captions } = await get(`/api/captions?after=${after}`);
  if (after !== newest) return; // forgotten meanwhile
  for (const one of captions.filter(({ number }) => number > newest)) {
    comingMs.set(one.number, performance.now());
    kept.push(one);
    newest = one.number;
  }
  kept = kept.slice(-MAX_KEPT);
  showAll();
}

// what a state says, while this page is in a conversation; after it the history stays
export async function followCaptions({ captions, mode, responder_state: responder, state }, isThere) {
  // who talks through the avatar is heard, and seldom types
  const has = captions > 0 || kept.length > 0 || (captions === 0 && mode === "live");
  document.body.dataset.captions = has ? "offered" : "none";
  if (!has || !isThere) {
    thinking = speaking = false;
    showNewest();
    return;
  }
  thinking = responder === "thinking";
  speaking = state === "speaking";
  if (captions < newest) forgetCaptions(); // another turn
  if (captions > newest && !asking) {
    asking = true;
    await fetchNew().finally(() => { asking = false; });
  }
  showNewest();
}

async function copy() {
  const text = kept.map((one) => `${say(`history.${one.who}`)}: ${one.text}`).join("\n");
  try {
    await navigator.clipboard.writeText(text);
  } catch { // http, or a frame that may not: selected, to be copied by hand
    getSelection().selectAllChildren(at("history-list"));
    showStatus(say("history.selected"));
    return;
  }
  at("history-copied").textContent = say("history.copied");
  setTimeout(() => { at("history-copied").textContent = ""; }, 2000);
}

export function prepareCaptions() {
  at("history-copy").onclick = reportErrors(copy);
  at("show-captions").checked = captionsAreOn();
  at("show-captions").onchange = ({ target }) => {
    remember("captions", target.checked ? "" : "off");
    showNewest();
  };
  showAll();
}
