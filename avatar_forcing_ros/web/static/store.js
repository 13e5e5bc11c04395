// What is remembered: a visitor's choices by the browser, a conversation's place and token by its tab.
// A frame of another site may be given no storage: then it is for as long as the page stays.

function memory() {
  const words = new Map();
  return {
    getItem: (name) => words.get(name) ?? null,
    setItem: (name, value) => { words.set(name, value); },
    removeItem: (name) => { words.delete(name); },
  };
}

function given(name) {
  try {
    return window[name] ?? memory();
  } catch { // access is denied
    return memory();
  }
}

const choices = given("localStorage");
export const tabStorage = given("sessionStorage");

export const remembered = (name) => choices.getItem(name) ?? "";

export function remember(name, value) {
  try {
    if (value) choices.setItem(name, value);
    else choices.removeItem(name);
  } catch { // full
  }
}
