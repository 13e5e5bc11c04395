// Requests to the server: the token, this browser's key, and errors as sentences.

import { tabStorage } from "./store.js";
import { say } from "./words.js";

const kept = (name) => tabStorage.getItem(name) || "";
export const token = () => kept("token");
export const key = () => kept("key");
export const setKey = (value) => tabStorage.setItem("key", value);

// %XX alone stands for something else: a + is a plus, which URLSearchParams makes a space of
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch { // a % that is one
    return part;
  }
}

// a link may carry the token behind #, which no server and no log ever sees
const linked = /^#(?:.*&)?token=([^&]+)/.exec(location.hash)?.[1];
if (linked) {
  tabStorage.setItem("token", plain(linked));
  history.replaceState(null, "", location.pathname + location.search);
}

// while a lost connection is made anew, what needs its key waits for the new one
let renewed = Promise.resolve();
export const waitFor = (promise) => { renewed = promise; };

let asking = null;

function askForToken(wasWrong) {
  asking ||= new Promise((done) => {
    const dialog = document.getElementById("ask");
    document.getElementById("ask-more").textContent = wasWrong
      ? say("token.wrong") : say("token.more");
    dialog.addEventListener("close", () => {
      const box = document.getElementById("token");
      tabStorage.setItem("token", box.value.trim());
      box.value = "";
      asking = null;
      done();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

const MAX_TRIES = 4;

// `place` is a key other than this page's; `signal` gives the request up
async function request(path, { timeoutMs, place: other, signal, tries = 1, ...options } = {}) {
  const [word, place] = [token(), other ?? key()];
  const headers = { Authorization: `Bearer ${word}`, "X-Avatar-Key": place };
  const again = (tried = tries) => request(path, { timeoutMs, place: other, signal, tries: tried, ...options });
  const given = new AbortController();
  const giveUp = () => given.abort();
  const limit = timeoutMs && setTimeout(giveUp, timeoutMs);
  signal?.addEventListener("abort", giveUp);
  if (signal?.aborted) giveUp();
  let reply;
  try {
    reply = await fetch(path, { ...options, headers, signal: given.signal });
  } catch {
    throw new Error(say("connection.no_answer"));
  } finally {
    clearTimeout(limit);
  }
  if (reply.status === 401) {
    // another request may have got the right one in the meantime
    if (word === token()) await askForToken(word !== "");
    return again();
  }
  if (reply.status === 429 && tries < MAX_TRIES) { // too many from this address: they get fewer
    const seconds = Number(reply.headers.get("Retry-After")) || 3;
    await new Promise((over) => { setTimeout(over, 1000 * seconds); });
    return again(tries + 1);
  }
  // the connection was renewed while this was on its way
  if (reply.status === 403 && other === undefined && place !== key()) return again();
  if (!reply.ok) {
    const body = await reply.json().catch(() => ({}));
    throw Object.assign(new Error(body.error || say("connection.answered", { status: String(reply.status) })),
      { status: reply.status });
  }
  return reply;
}

export const get = async (path, more) => (await request(path, more)).json();
export const getBlob = async (path) => (await request(path)).blob();
export const getFile = async (path) => {
  await renewed;
  const reply = await request(path);
  const [, name] = /filename="([^"]+)"/.exec(reply.headers.get("Content-Disposition")) ?? [];
  return { blob: await reply.blob(), name: name || "avatar.mp4" };
};
export const postNow = async (path, body, more = {}) =>
  (await request(path, { method: "POST", body, ...more })).json();
export const post = async (path, body) => {
  await renewed;
  return postNow(path, body);
};
export const postJson = (path, table) => post(path, JSON.stringify(table));
