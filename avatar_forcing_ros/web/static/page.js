// The page's elements by id, its status line, and handlers whose errors are shown there.

export const at = (id) => document.getElementById(id);

const READ_MS = 2000;
const MAX_NOTICES = 2;
let line = ""; // the newest of what goes well
let standing = ""; // what holds meanwhile, and is not wrong; no newer line takes it away
let condition = ""; // what is wrong, as long as it is
let notices = []; // what happened, until it has been read: { text, isError, sinceMs }

function showAll() {
  const texts = [condition, ...notices.map(({ text }) => text)].filter(Boolean);
  const text = texts.length ? texts.join(" ") : [line, standing].filter(Boolean).join(" ");
  const isError = condition !== "" || notices.some((one) => one.isError);
  if (at("status").textContent !== text) at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

// stays until the page is used again, by a touch, a click or a key: then somebody is there
export function showNotice(text, isError = false) {
  const notice = { text, isError, sinceMs: performance.now() };
  notices = [...notices.filter((one) => one.text !== text), notice].slice(-MAX_NOTICES);
  showAll();
}

function markRead() {
  const read = notices;
  if (!read.length) return;
  const leftMs = Math.max(0, ...read.map(({ sinceMs }) => sinceMs + READ_MS - performance.now()));
  setTimeout(() => {
    notices = notices.filter((one) => !read.includes(one));
    showAll();
  }, leftMs);
}

for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, markRead, { capture: true });

export function showStatus(text, isError = false) {
  if (isError) {
    showNotice(text, true);
    return;
  }
  line = text;
  showAll();
}

// what holds now, beside what else there is to say; without text it is over
export function showStanding(text) {
  standing = text;
  showAll();
}

// what is wrong now; without text it is over
export function showCondition(text) {
  condition = text;
  showAll();
}

export const reportErrors = (handler) => async (event) => {
  try {
    await handler(event);
  } catch (error) {
    showStatus(error.message, true);
  }
};

export const press = (id, on) => at(id).setAttribute("aria-pressed", String(on));

export function draw(id, icon, name) {
  const use = at(id).querySelector("use");
  const href = `/static/icons.svg#${icon}`;
  // one that is set again is fetched again, which a server that is away does not answer
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
  const text = at(id).querySelector(".name");
  if (text.textContent !== name) text.textContent = name;
}
