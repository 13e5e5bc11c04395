// Your camera and microphone: opened, muted, turned off and on, and why one of them is not there.

import { openDevices } from "./devices.js";
import { say } from "./words.js";

const WANTED = {
  audio: { echoCancellation: true, noiseSuppression: true },
  video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 } },
};
const NAMES = { audio: "microphone", video: "camera" };
// the reasons why there is none, each a sentence of its own
const MISSING = {
  none: (kinds) => say(`media.none.${kinds}`),
  refused: (kinds) => say(`media.refused.${kinds}`),
  busy: (kinds) => say(`media.busy.${kinds}`),
  insecure: (kinds) => say(`media.insecure.${kinds}`),
};
const REASONS = {
  NotFoundError: "none", OverconstrainedError: "none", NotAllowedError: "refused", SecurityError: "refused",
};

// "granted", "denied" or "prompt"; empty where the browser does not tell
async function permission(kind) {
  try {
    return (await navigator.permissions.query({ name: NAMES[kind] })).state;
  } catch {
    return "";
  }
}

// "audio", "video" or "both"
const together = (kinds) => (kinds.length > 1 ? "both" : kinds[0]);

export class Media {
  // `changed` is called when there is more or less than before; `asking(text)` while the browser
  // opens them or waits for an answer, then with ""
  constructor(changed, asking = () => {}) {
    this.changed = changed;
    this.asking = asking;
    this.stream = new MediaStream();
    this.wished = { audio: true, video: true };
    this.missing = { audio: "", video: "" }; // a reason, where one was asked for and is not there
    this.senders = {};
    this.byHold = false; // the microphone is open while `held` alone
    this.held = false;
    this.opening = false;
    this.pending = null; // what is being opened
    this.closings = 0; // what is opened meanwhile is closed again
  }

  track(kind) {
    return this.stream.getTracks().find((one) => one.kind === kind) ?? null;
  }

  // whether your microphone, or your camera, is sent
  on(kind) {
    return Boolean(this.track(kind)?.enabled);
  }

  // why those that are wished are not there, as sentences; empty where they are, or were turned off
  why(kinds = ["video", "audio"]) {
    const gone = kinds.filter((kind) => this.wished[kind] && !this.track(kind) && this.missing[kind]);
    const reasons = [...new Set(gone.map((kind) => this.missing[kind]))];
    return reasons.map((reason) => MISSING[reason](
      together(gone.filter((kind) => this.missing[kind] === reason)))).join(" ");
  }

  // what there is of both, as wished: one without the other, and nothing where there is none
  async open() {
    this.pending = this.openWished();
    await this.pending;
  }

  async openWished() {
    const kinds = ["audio", "video"].filter((kind) => this.wished[kind] && !this.track(kind));
    if (!kinds.length) return;
    const { closings } = this;
    if (!navigator.mediaDevices) {
      kinds.forEach((kind) => { this.missing[kind] = "insecure"; });
      return;
    }
    const states = Object.fromEntries(
      await Promise.all(kinds.map(async (kind) => [kind, await permission(kind)])));
    if (closings !== this.closings) return;
    this.opening = true;
    this.asking(kinds.some((kind) => states[kind] === "prompt")
      ? say(`media.asking.${together(kinds)}`) : say(`media.opening.${together(kinds)}`));
    try {
      await this.ask(kinds, closings);
    } finally {
      if (closings === this.closings) {
        this.opening = false;
        this.asking("");
      }
    }
  }

  async ask(kinds, closings) {
    let failure = null;
    try {
      const asked = Object.fromEntries(kinds.map((kind) => [kind, WANTED[kind]]));
      const tracks = (await openDevices(asked)).getTracks();
      tracks.forEach((track) => (closings === this.closings ? this.add(track) : track.stop()));
    } catch (error) {
      failure = REASONS[error.name] ?? "busy";
      kinds.forEach((kind) => { this.missing[kind] = failure; });
    }
    if (!failure || kinds.length < 2 || closings !== this.closings) return;
    // both at once fail where one of them does
    for (const kind of await this.worthAsking(kinds, failure)) await this.ask([kind], closings);
  }

  // after a refusal of both: not those whose prompt was just answered with no
  async worthAsking(kinds, failure) {
    if (failure !== "refused") return kinds;
    const states = await Promise.all(kinds.map(permission));
    const denied = states.includes("denied");
    return kinds.filter((_, i) => states[i] === "granted" || (denied && states[i] === "prompt"));
  }

  send(kind, track) {
    this.senders[kind]?.replaceTrack(track).catch(() => {}); // of a connection that is over
  }

  add(track) {
    this.missing[track.kind] = "";
    this.stream.addTrack(track);
    this.muteOrNot();
    track.onended = () => { // unplugged, or taken back
      this.missing[track.kind] = "busy";
      this.drop(track);
    };
    this.send(track.kind, track);
    this.changed();
  }

  drop(track) {
    track.onended = null;
    track.stop();
    this.stream.removeTrack(track);
    this.send(track.kind, null);
    this.changed();
  }

  // a muted microphone stays open, and sends silence; a camera that is off is not open at all
  async toggle(kind) {
    if (this.opening) return;
    const track = this.track(kind);
    this.wished[kind] = !this.on(kind);
    if (track && kind === "video") this.drop(track);
    else if (track) this.muteOrNot();
    else await this.open();
    this.changed();
    if (this.wished[kind] && !this.on(kind)) throw new Error(this.why([kind]));
  }

  muteOrNot() {
    const track = this.track("audio");
    if (track) track.enabled = this.byHold ? this.held : this.wished.audio || this.held;
  }

  // a button is held, or not any more
  hold(on) {
    this.held = on;
    this.muteOrNot();
    this.changed();
  }

  setByHold(on) {
    this.byHold = on;
    if (on) this.wished.audio = true;
    this.hold(false);
  }

  // another device was chosen: in its place at once where there is one, or where one should be
  async change(kind) {
    const { closings } = this;
    await this.pending;
    const track = this.track(kind);
    if (closings !== this.closings || !(track || (this.wished[kind] && this.missing[kind]))) return;
    if (track) this.drop(track); // some give one at a time
    this.opening = true;
    await this.ask([kind], closings);
    if (closings !== this.closings) return;
    this.opening = false;
    if (!this.track(kind)) throw new Error(MISSING[this.missing[kind]](kind));
  }

  close() {
    this.closings += 1;
    this.held = false;
    this.opening = false;
    this.asking("");
    this.senders = {};
    this.missing = { audio: "", video: "" };
    this.stream.getTracks().forEach((track) => this.drop(track));
  }
}
