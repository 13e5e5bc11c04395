// Where everybody has a conversation of their own: whether one is free, and waiting for that.

import { at, showStanding, showStatus } from "./page.js";
import { say } from "./words.js";

const SPREAD_MS = 2000; // within which all who wait ask once one is free
let begin = null; // what to do when one is free, while this page waits
let timer = null;
let shown = ""; // by this module, beside the status line
let isFull = false;

function showLine() {
  const text = begin ? say("rooms.waiting") : isFull ? say("rooms.full") : "";
  if (text === shown) return;
  shown = text;
  showStanding(text);
  at("talk").textContent = begin ? say("turn.withdraw") : say("start.talk");
}

function stop() {
  clearTimeout(timer);
  begin = timer = null;
}

// whether a conversation would be refused now, as far as the last state says
export const roomsAreFull = () => isFull;

// have `start` called when one is free
export function waitForRoom(start) {
  stop();
  begin = start;
  isFull = true;
  showStatus("");
  showLine();
}

// whether this page waited, and does so no more
export function stopWaiting() {
  if (!begin) return false;
  stop();
  showLine();
  return true;
}

// what the state says of it, for a page that has a conversation, or none
export function followRooms({ conversations = 1, free = 1 }, isThere) {
  document.body.dataset.rooms = conversations > 1 ? "own" : "shared";
  if (isThere) {
    stop();
    isFull = false;
    showLine();
    return;
  }
  isFull = conversations > 1 && free === 0;
  if (isFull) {
    clearTimeout(timer);
    timer = null;
  } else if (begin && timer === null) {
    const start = begin;
    timer = setTimeout(() => {
      stop();
      showLine();
      start();
    }, SPREAD_MS * Math.random());
  }
  showLine();
}
