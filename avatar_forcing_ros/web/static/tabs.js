// Tabs of one browser: a duplicate has the place of the first in its storage, and asks which goes on.

import { key, setKey } from "./api.js";
import { at } from "./page.js";
import { tabStorage } from "./store.js";

const ANSWER_MS = 250;
const channel = new BroadcastChannel("avatar");

const newName = () => [...crypto.getRandomValues(new Uint32Array(4))].join("-");

function rename() {
  tabStorage.setItem("tab", newName());
  return name();
}

// a reloaded page keeps its name; a duplicate has that of the other
const name = () => tabStorage.getItem("tab") || rename();

// what another tab of this name answers to `question`; null where there is none
function ask(question) {
  const asked = name();
  channel.postMessage({ question, name: asked });
  return new Promise((done) => {
    const limit = setTimeout(() => done(null), ANSWER_MS);
    const listen = ({ data }) => {
      if (data.answer !== question || data.name !== asked) return;
      clearTimeout(limit);
      channel.removeEventListener("message", listen);
      done(data);
    };
    channel.addEventListener("message", listen);
  });
}

// `isThere()`: whether this tab has a place; `yieldPlace()` gives it up without leaving it
export function prepareTabs({ isThere, yieldPlace }) {
  name(); // a duplicate of this tab takes it along
  channel.addEventListener("message", ({ data }) => {
    if (!data.question || data.name !== name() || !isThere()) return;
    channel.postMessage({ answer: data.question, name: data.name, key: key() });
    if (data.question !== "give") return;
    yieldPlace();
    setKey("");
    rename();
  });
}

// whether this tab goes on with the place that its storage names
export async function mayGoOn() {
  if (!(await ask("there"))) return true;
  const dialog = at("tabs");
  dialog.showModal();
  await new Promise((done) => { dialog.addEventListener("close", done, { once: true }); });
  if (dialog.returnValue === "here") {
    const given = await ask("give");
    if (given) setKey(given.key);
    return true;
  }
  setKey("");
  rename();
  tabStorage.removeItem("role");
  return false;
}
