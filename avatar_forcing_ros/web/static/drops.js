// Files that are dropped on the page, with a veil that says what may be.

import { at, reportErrors } from "./page.js";

// `dropped(file)` does something with it
export function listenToDrops(dropped) {
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    at("drop").hidden = false;
  });
  at("drop").addEventListener("dragleave", () => { at("drop").hidden = true; });
  document.addEventListener("drop", reportErrors(async (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    at("drop").hidden = true;
    await dropped(event.dataTransfer.files[0]);
  }));
}
