// In which voice typed text is spoken: chosen from the server's, remembered by this browser.

import { get } from "./api.js";
import { remember, remembered } from "./store.js";
import { say } from "./words.js";

let loading = null; // of the server's list

const list = () => (loading ??= get("/api/voices").then(({ voices }) => voices).catch(() => {
  loading = null; // tried again when it is asked for
  return [];
}));

// the chosen one's name; empty where the server decides
export async function chosenVoice() {
  const name = remembered("voice");
  return name && (await list()).some((one) => one.name === name) ? name : "";
}

const base = (tag) => tag.toLowerCase().split("-")[0];

function group(label, voices) {
  const element = document.createElement("optgroup");
  element.label = label;
  element.append(...voices.map((one) => new Option(one.label, one.name)));
  return element;
}

// the server's voices in `select`, those of the visitor's languages first; whether there is a choice
export async function fillVoices(select) {
  const voices = await list();
  if (voices.length < 2) return false;
  const own = new Set(navigator.languages.map(base));
  const isOwn = (one) => own.has(base(one.language));
  const groups = [[say("voice.yours"), voices.filter(isOwn)],
    [say("voice.others"), voices.filter((one) => !isOwn(one))]];
  select.replaceChildren(new Option(say("voice.any"), ""),
    ...groups.filter(([, some]) => some.length).map(([label, some]) => group(label, some)));
  select.value = await chosenVoice();
  select.onchange = () => remember("voice", select.value);
  return true;
}
