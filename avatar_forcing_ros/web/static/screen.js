// The picture on the full screen, and in a window of its own over others; where the browser can.

import { at, press, reportErrors } from "./page.js";

const tile = at("avatar-tile");
const video = at("avatar");

function showFull() {
  press("full-screen", document.fullscreenElement === tile);
  at("full-screen").querySelector("use").setAttribute("href",
    `/static/icons.svg#${document.fullscreenElement === tile ? "full-screen-off" : "full-screen"}`);
}

async function toggleFull() {
  if (document.fullscreenElement) await document.exitFullscreen();
  else if (tile.requestFullscreen) await tile.requestFullscreen();
  else video.webkitEnterFullscreen(); // a phone that shows videos alone so
}

async function toggleOver() {
  if (document.pictureInPictureElement) await document.exitPictureInPicture();
  else await video.requestPictureInPicture();
}

// after a conversation nothing is left to be shown so
export async function leaveScreen() {
  if (document.fullscreenElement === tile) await document.exitFullscreen().catch(() => {});
  if (document.pictureInPictureElement) await document.exitPictureInPicture().catch(() => {});
}

export function prepareScreen() {
  const offered = document.fullscreenEnabled ? "offered" : video.webkitSupportsFullscreen ? "video" : "none";
  document.body.dataset.fullScreen = offered;
  at("full-screen").hidden = offered === "none";
  at("full-screen").onclick = reportErrors(toggleFull);
  document.addEventListener("fullscreenchange", showFull);
  at("over-others").hidden = !document.pictureInPictureEnabled;
  at("over-others").onclick = reportErrors(toggleOver);
  for (const kind of ["enterpictureinpicture", "leavepictureinpicture"])
    video.addEventListener(kind, () => press("over-others", document.pictureInPictureElement === video));
}
