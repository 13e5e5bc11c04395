// A head with nothing behind it. Its video carries the colours above and, below, how opaque they are;
// a canvas brings both together.

import { at } from "./page.js";

const [CLEAR, OPAQUE] = [8, 247]; // the video's noise about 0 and 255 is neither haze nor a hole
const video = at("avatar");
const canvas = at("cutout");
const target = canvas.getContext("2d");
const stack = document.createElement("canvas");
const source = stack.getContext("2d", { willReadFrequently: true });
let isOn = false;
let isFollowed = false;

function draw() {
  const { videoWidth: width, videoHeight: both } = video;
  const height = both / 2;
  if (!width) return;
  if (stack.width !== width || stack.height !== both) {
    [stack.width, stack.height] = [width, both];
    [canvas.width, canvas.height] = [width, height];
  }
  source.drawImage(video, 0, 0);
  const image = source.getImageData(0, 0, width, both);
  const { data } = image;
  const half = data.length / 2;
  for (let i = 0; i < half; i += 4)
    data[i + 3] = (data[half + i] - CLEAR) * (255 / (OPAQUE - CLEAR));
  target.putImageData(image, 0, 0, 0, 0, width, height);
  canvas.hidden = false;
}

function follow() {
  if (isOn) draw();
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(follow);
  else requestAnimationFrame(follow);
}

// what the state says of the avatar's images
export function followAlpha({ has_alpha: hasAlpha = false }) {
  if (hasAlpha === isOn) return;
  isOn = hasAlpha;
  document.body.dataset.backdrop = isOn ? "none" : "own";
  video.disablePictureInPicture = isOn; // it would show both halves
  canvas.hidden = true;
  if (isFollowed) return;
  isFollowed = true;
  video.addEventListener("emptied", () => { canvas.hidden = true; });
  follow();
}
