// What this browser remembers of a visitor's choices. Where it remembers nothing, all are open again.

export function remembered(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch { // forbidden, as in some frames
    return "";
  }
}

export function remember(name, value) {
  try {
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch { // full, or forbidden
  }
}
