// What this tab remembers over a reload. A browser that gives a frame of another site no storage
// has it remembered for as long as the page stays.

const words = new Map();
const ownStorage = {
  getItem: (name) => words.get(name) ?? null,
  setItem: (name, value) => { words.set(name, value); },
  removeItem: (name) => { words.delete(name); },
};

function browsersStorage() {
  try {
    return window.sessionStorage;
  } catch { // access is denied
    return null;
  }
}

export const storage = browsersStorage() ?? ownStorage;
