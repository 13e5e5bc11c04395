// A place at the server that is kept: whatever breaks, the page joins again with the same key.

import { waitFor } from "./api.js";
import { call, received } from "./webrtc.js";

const CHECK_MS = 300;
const SILENT_MS = 1200; // without a new frame, while the server shows some; twice as long each time
const FIRST_MS = 4000; // the same before the first
const WAITS_MS = [0, 250, 500, 1000]; // before another attempt; the last again and again
const STEADY_MS = 5000; // of images, after which it begins with the first again
const USUAL_DELAY_MS = 400; // after which a frame is shown at most, where there is time enough
const BUSY = 4; // of its answer's time more
const MISSED_FRAMES = 10; // that the server has shown since
const FINAL = [400, 403]; // refusals that another attempt does not change
const TAKEN_MS = 30000; // until then it may be this page's own place that is taken

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Connection {
  // `changed(phase, error)`: "ready", "connecting", "live" or "lost"
  constructor(changed, tracks) {
    this.changed = changed;
    this.tracks = tracks;
    this.phase = "ready";
    this.role = null;
    this.line = null;
    this.generation = 0; // counts joins and ends: what began in another one is over
    this.attempts = 0;
    this.joining = false;
    this.lostMs = null;
    this.serverFrames = 0;
    this.serverMs = 0;
    this.serverIsAway = false;
    this.checkedMs = performance.now();
    setInterval(() => this.check().catch(() => {}), CHECK_MS);
  }

  set(phase, error = null) {
    if (phase === "lost" && this.phase !== "lost")
      waitFor(new Promise((done) => { this.found = done; }));
    if (["live", "ready"].includes(phase)) this.found?.();
    this.phase = phase;
    this.changed(phase, error);
  }

  // camera and microphone are asked for, before `open`; a place that there is stays meanwhile
  prepare() {
    if (this.phase === "ready") this.set("connecting");
  }

  // take a place; throws where the server refuses
  async open(role, media, withView) {
    this.wanted = { role, media, withView };
    this.role = role;
    this.drop();
    this.set("connecting");
    const { generation } = this;
    try {
      await this.join();
    } catch (error) {
      if (generation !== this.generation) return; // it was ended meanwhile
      this.role = null;
      this.set("ready");
      throw error;
    }
  }

  close() {
    this.drop();
    this.role = null;
    this.set("ready");
  }

  drop() {
    this.generation += 1;
    this.calling?.abort();
    this.line?.close();
    this.line = null;
  }

  async join() {
    const generation = this.generation;
    const calling = this.calling = new AbortController();
    const line = await call({ ...this.wanted, tracks: this.tracks, signal: calling.signal });
    if (generation !== this.generation) {
      line.close();
      return;
    }
    this.line = line;
    this.last = { frames: 0, packets: 0, atMs: performance.now(), sinceMs: 0,
      serverFrames: this.serverFrames };
    line.peer.onconnectionstatechange = () => {
      if (["failed", "disconnected", "closed"].includes(line.peer.connectionState)) this.reconnect();
    };
  }

  // join again until it works, or the server says that it will not
  async reconnect() {
    if (!this.role || this.joining) return;
    this.joining = true;
    this.lostMs ??= performance.now();
    this.set("lost");
    this.drop();
    const generation = this.generation;
    while (generation === this.generation) {
      await sleep(WAITS_MS[Math.min(this.attempts, WAITS_MS.length - 1)]);
      if (generation !== this.generation) break;
      this.attempts += 1;
      try {
        await this.join();
        break;
      } catch (error) {
        const taken = error.status === 409 && performance.now() - this.lostMs > TAKEN_MS;
        if (generation === this.generation && (taken || FINAL.includes(error.status))) {
          this.role = null;
          this.set("ready", error);
          break;
        }
      }
    }
    this.joining = false;
  }

  // what the server says, and how long it took to; `generation` is that of the request
  onState(state, generation, tookMs) {
    this.serverFrames = state.shown_frames;
    this.serverMs = Math.max(tookMs, (state.playout_delay_ms ?? 0) - USUAL_DELAY_MS);
    this.serverIsAway = false;
    if (generation === this.generation && state.you === null && this.line) this.reconnect();
  }

  async check() {
    const { line } = this;
    if (!line) return;
    const now = await received(line.peer);
    if (line !== this.line) return;
    const nowMs = performance.now();
    // a hidden page may decode nothing
    const moved = document.hidden ? now.packets > this.last.packets : now.frames > this.last.frames;
    if (moved) {
      this.checkedMs = nowMs;
      const sinceMs = this.last.sinceMs || nowMs;
      this.last = { ...now, atMs: nowMs, sinceMs, serverFrames: this.serverFrames };
      if (nowMs - sinceMs > STEADY_MS) this.attempts = 0;
      if (this.phase !== "live") {
        this.lostMs = null;
        this.set("live");
      }
      return;
    }
    // time in which this page itself stood still does not count, and a busy server gets more
    const stoodMs = Math.max(0, nowMs - this.checkedMs - 2 * CHECK_MS);
    this.checkedMs = nowMs;
    this.last.atMs += stoodMs;
    // what comes but is not shown yet is a slow machine's, which another connection makes slower
    if (now.packets > this.last.packets) Object.assign(this.last, { packets: now.packets, cameMs: nowMs });
    const stuckMs = nowMs - this.last.atMs;
    const silentMs = Math.min(stuckMs, nowMs - (this.last.cameMs ?? 0));
    // an avatar that itself stands still is not brought back by another connection
    const missed = this.serverIsAway || this.serverFrames - this.last.serverFrames >= MISSED_FRAMES;
    const times = 2 ** Math.min(this.attempts, 3);
    const timeoutMs = (this.last.sinceMs ? SILENT_MS : FIRST_MS) + BUSY * this.serverMs;
    if (missed && (silentMs > times * timeoutMs || stuckMs > times * FIRST_MS)) this.reconnect();
  }
}
