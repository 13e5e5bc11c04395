// Sharing this page: its link, with the token only where that is wanted, also as a QR code for a phone.

import { post, token } from "./api.js";
import { at, reportErrors } from "./page.js";
import { say } from "./words.js";

const LOCAL = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

let picture = ""; // the address of the QR code that is shown

function showCode(svg) {
  if (picture) URL.revokeObjectURL(picture);
  picture = svg ? URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" })) : "";
  at("share-code").hidden = !svg;
  if (svg) at("share-code").src = picture;
}

async function show() {
  const withToken = !at("share-token-row").hidden && at("share-token").checked;
  const { link, qr } = await post(`/api/share${withToken ? "?token=yes" : ""}`, "");
  at("share-link").value = link;
  showCode(qr);
  at("share-done").textContent = "";
}

async function copy() {
  at("share-link").select();
  try {
    await navigator.clipboard.writeText(at("share-link").value);
  } catch { // not over http
    if (!document.execCommand("copy")) return; // it is selected
  }
  at("share-done").textContent = say("share.copied");
}

async function send() {
  try {
    await navigator.share({ title: document.title, url: at("share-link").value });
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

// what goes wrong is said where it is seen
const reported = (handler) => async () => {
  try {
    await handler();
  } catch (error) {
    at("share-done").textContent = error.message;
  }
};

export function prepareShare() {
  at("share-button").onclick = reportErrors(async () => {
    at("share-token").checked = false;
    at("share-token-row").hidden = !token();
    at("share-local").hidden = !LOCAL.test(location.hostname);
    at("share-send").hidden = !navigator.share;
    await show();
    at("share").showModal();
    at("share-copy").focus();
  });
  at("share-token").onchange = reported(show);
  at("share-copy").onclick = reported(copy);
  at("share-send").onclick = reported(send);
}
