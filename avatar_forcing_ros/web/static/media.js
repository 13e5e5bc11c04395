// Your camera and microphone: opened, muted, turned off and on.

const WANTED = {
  audio: { echoCancellation: true, noiseSuppression: true },
  video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 } },
};

async function opened(wanted) {
  try {
    return (await navigator.mediaDevices.getUserMedia(wanted)).getTracks();
  } catch (error) {
    return error.name === "NotAllowedError" ? null : [];
  }
}

export class Media {
  // `changed` is called when there is more or less than before
  constructor(changed) {
    this.changed = changed;
    this.stream = new MediaStream();
    this.wished = { audio: true, video: true };
    this.senders = {};
    this.closings = 0; // what is opened meanwhile is closed again
  }

  track(kind) {
    return this.stream.getTracks().find((one) => one.kind === kind) ?? null;
  }

  // whether your microphone, or your camera, is sent
  on(kind) {
    return Boolean(this.track(kind)?.enabled);
  }

  // what there is of both, as wished; nothing where the browser gives none
  async open() {
    if (!navigator.mediaDevices) return;
    const { closings } = this;
    const kinds = ["audio", "video"].filter((kind) => this.wished[kind] && !this.track(kind));
    const ask = (some) => opened(Object.fromEntries(some.map((kind) => [kind, WANTED[kind]])));
    let tracks = kinds.length ? await ask(kinds) : [];
    if (tracks?.length === 0 && kinds.length > 1)
      tracks = (await ask(["audio"])) ?? (await ask(["video"]));
    (tracks ?? []).forEach((track) => (closings === this.closings ? this.add(track) : track.stop()));
  }

  send(kind, track) {
    this.senders[kind]?.replaceTrack(track).catch(() => {}); // of a connection that is over
  }

  add(track) {
    this.stream.addTrack(track);
    track.onended = () => this.drop(track);
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
    const track = this.track(kind);
    this.wished[kind] = !this.on(kind);
    if (track && kind === "video") this.drop(track);
    else if (track) track.enabled = this.wished[kind];
    else await this.open();
    this.changed();
    if (this.wished[kind] && !this.on(kind)) {
      this.wished[kind] = false;
      throw new Error(`This browser gives no ${kind === "audio" ? "microphone" : "camera"} to this page.`);
    }
  }

  close() {
    this.closings += 1;
    this.senders = {};
    this.stream.getTracks().forEach((track) => this.drop(track));
  }
}
