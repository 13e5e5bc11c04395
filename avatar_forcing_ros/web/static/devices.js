// Which camera, microphone and speaker: listed, chosen, and remembered by this browser.

import { remember, remembered } from "./store.js";
import { say } from "./words.js";

const KINDS = { audio: "audioinput", video: "videoinput", output: "audiooutput" };
export const canChooseOutput = "setSinkId" in HTMLMediaElement.prototype;

function chosen(kind, wanted) {
  const id = remembered(`device.${kind}`);
  return id ? { ...wanted, deviceId: { exact: id } } : wanted;
}

// a stream of what is wanted, by kind; of the chosen devices, or of others where one of those is gone
export async function openDevices(wanted) {
  const exact = Object.fromEntries(Object.entries(wanted).map(([kind, one]) => [kind, chosen(kind, one)]));
  try {
    return await navigator.mediaDevices.getUserMedia(exact);
  } catch (error) {
    if (error.name !== "OverconstrainedError") throw error;
    return navigator.mediaDevices.getUserMedia(wanted);
  }
}

export const rememberDevice = (kind, id) => remember(`device.${kind}`, id);

// each as { id, label }; before permission is given a browser names none
export async function devices(kind) {
  const all = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
  const found = all.filter((one) => one.kind === KINDS[kind] && one.deviceId);
  return found.map(({ deviceId: id, label }, i) => ({
    id, label: label || say(`devices.${kind}`, { number: i + 1 }),
  }));
}

// the chosen speaker for what `element` plays, as long as it is there; whether it was taken
export async function useOutput(element) {
  if (!canChooseOutput) return false;
  try {
    await element.setSinkId(remembered("device.output"));
    return true;
  } catch { // unplugged, or not allowed any more
    await element.setSinkId("").catch(() => {});
    return false;
  }
}
