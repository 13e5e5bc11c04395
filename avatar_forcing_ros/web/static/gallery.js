// The portraits to choose from, before a conversation and during it: the server's, and one's own.

import { get, getBlob } from "./api.js";
import { at, reportErrors } from "./page.js";
import { changePortrait, chooseFirst, choosePortrait, chosenName } from "./portrait.js";
import { say } from "./words.js";

const FIRST = "first"; // the server's name for the one that it begins with

let loading = null; // of the list and its images
let listens = () => false;
let busy = () => {};
let chosen = () => {};

// each as { name, label, image }, a Blob; those whose image does not come are left out
async function load() {
  const { portraits } = await get("/api/portraits");
  const loaded = [];
  for (const { name, label } of portraits) {
    const image = await getBlob(`/api/portraits/${encodeURIComponent(name)}`).catch(() => null);
    if (image) loaded.push({ name, label, image });
  }
  return loaded;
}

async function choose({ name, image }) {
  at("portraits").close();
  if (name === FIRST) await chooseFirst(name, image, listens(), busy);
  else await choosePortrait(name, image, listens(), busy);
  chosen();
}

function button(one) {
  const element = document.createElement("button");
  const image = document.createElement("img");
  const label = document.createElement("span");
  image.src = URL.createObjectURL(one.image);
  image.alt = "";
  label.textContent = one.label || say("portraits.first");
  label.dir = "auto";
  element.type = "button";
  element.className = "thumbnail";
  element.dataset.name = one.name;
  element.append(image, label);
  element.onclick = reportErrors(() => choose(one));
  return element;
}

function mark() {
  const name = chosenName() === "" ? FIRST : chosenName();
  for (const one of at("portrait-list").children)
    one.setAttribute("aria-pressed", String(one.dataset.name === name));
}

async function open() {
  at("portraits").showModal();
  if (!loading) {
    at("portrait-list").ariaBusy = "true";
    loading = load().finally(() => { at("portrait-list").ariaBusy = "false"; });
    loading.then((all) => at("portrait-list").replaceChildren(...all.map(button)), () => { loading = null; });
  }
  await loading;
  mark();
}

// `there`: a conversation goes on that does as this page asks; `its(text)` covers the avatar meanwhile;
// `onChoice` is called when one was chosen
export function prepareGallery(there, its, onChoice) {
  [listens, busy, chosen] = [there, its, onChoice];
  at("portrait-button").onclick = at("first-portrait").onclick = reportErrors(open);
  at("portrait").onchange = reportErrors(async ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (!file) return;
    at("portraits").close();
    await changePortrait(file, listens(), busy);
    chosen();
  });
}
