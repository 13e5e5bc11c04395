// What the face shows, and where it looks: an expression to choose, its picture to click.

import { get, postJson } from "./api.js";
import { at, reportErrors } from "./page.js";
import { known, say } from "./words.js";

const EYES_HIGH = 0.42; // of the picture's height, from its top: where a portrait's eyes are
const EDGE_LEFT = 40; // degrees from straight ahead to a side of the picture
const EDGE_UP = 30; // and as far above the eyes
const STEP = 25; // an arrow key's
const LOOK_MS = 1000; // the server takes one change a second for long

const select = at("expression");
let chosenMs = 0; // states that were asked for earlier know nothing of it
let choosing = 0;
let opened = false; // as a list, by a touch or by its key
let lookMs = -Infinity;
let waiting = null;

// a name that has no word here is shown as it is
const titled = (name) => (known(`expression.${name}`)
  ? say(`expression.${name}`) : name[0].toUpperCase() + name.slice(1));

export async function fillExpressions() {
  if (select.length > 1) return;
  const { names } = await get("/api/expressions");
  select.replaceChildren(...names.map((name) => new Option(titled(name), name)));
  draw();
}

function draw() {
  const label = select.closest("label");
  const isNeutral = select.selectedIndex <= 0;
  label.classList.toggle("chosen", !isNeutral);
  label.querySelector(".name").textContent = isNeutral ? say("express.name") : select.selectedOptions[0].text;
}

// what the server knows, in a state that was asked for at `askedMs`
export function showExpression(name, askedMs) {
  if (choosing || askedMs < chosenMs || name === undefined) return;
  if (select.value !== name) select.value = name;
  draw();
}

async function choose() {
  draw();
  if (opened) select.blur(); // letters are keys again
  choosing += 1;
  try {
    await postJson("/api/expression", { name: select.value });
  } finally {
    choosing -= 1;
    chosenMs = performance.now();
  }
}

export function openExpressions() {
  select.focus();
  if (!select.showPicker) return;
  select.showPicker();
  opened = true;
}

// the newest of those that come too fast
function look(left, up) {
  const wait = lookMs + LOOK_MS - performance.now();
  const isFirst = waiting === null;
  waiting = { left: Math.round(left), up: Math.round(up) };
  if (!isFirst) return;
  setTimeout(reportErrors(() => {
    const target = waiting;
    waiting = null;
    lookMs = performance.now();
    return postJson("/api/look_at", target);
  }), Math.max(0, wait));
}

// the picture fills its tile, which may cut off two sides; its right is the avatar's left
function lookAtPoint({ clientX, clientY }) {
  const { left, top, width, height } = at("avatar").getBoundingClientRect();
  // on the full screen all of it is seen
  const isWhole = getComputedStyle(at("avatar")).objectFit === "contain";
  const side = isWhole ? Math.min(width, height) : Math.max(width, height);
  const [x, y] = [(clientX - left - width / 2) / side, (clientY - top - height / 2) / side + 0.5];
  look(2 * EDGE_LEFT * x, (EDGE_UP / EYES_HIGH) * (EYES_HIGH - y));
}

const ARROWS = {
  ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP],
};

// whether `key` is one that turns the eyes
export function lookByKey(key) {
  const arrow = ARROWS[key];
  if (arrow) look(...arrow);
  return Boolean(arrow);
}

// `listens()` says whether the avatar does as this page asks
export function prepareFace(listens) {
  select.onpointerdown = () => { opened = true; };
  select.onblur = () => { opened = false; };
  select.onchange = reportErrors(choose);
  at("avatar").onclick = (event) => { if (listens()) lookAtPoint(event); };
}
