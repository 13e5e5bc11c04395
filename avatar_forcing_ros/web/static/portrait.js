// The avatar's portrait: the one it has, and a new one, shown before its face is found.

import { getBlob, post } from "./api.js";
import { at, reportErrors, showStatus } from "./page.js";

function fill(image, blob) {
  const old = image.src;
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  if (old) URL.revokeObjectURL(old);
  return image.decode();
}

export async function showPortrait() {
  await fill(at("face"), await getBlob("/api/portrait"));
}

// `busy(text)` covers the avatar; without text it is uncovered
export async function changePortrait(file, busy) {
  try {
    await fill(at("preview"), file);
  } catch {
    at("preview").hidden = true;
    throw new Error("That file is no image that this browser can show.");
  }
  busy("Looking for the face…");
  showStatus("");
  try {
    await post("/api/portrait", file);
    await showPortrait();
    showStatus("Here is the new face.");
  } finally {
    busy("");
    at("preview").hidden = true;
  }
}

export function preparePortrait(busy) {
  at("portrait").onchange = reportErrors(async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) await changePortrait(file, busy);
  });
}
