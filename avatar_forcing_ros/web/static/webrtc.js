// One WebRTC connection: the avatar comes in, camera and microphone go out.

import { key, postNow, setKey } from "./api.js";
import { say } from "./words.js";

const GATHERING_MS = 2000; // longer than any address of this machine takes
const JOINING_MS = 8000;

function gathered(peer) {
  return new Promise((done) => {
    const check = () => peer.iceGatheringState === "complete" && done();
    peer.addEventListener("icegatheringstatechange", check);
    setTimeout(done, GATHERING_MS);
    check();
  });
}

// A browser aligns the audio with one video of its stream; a second video gets a stream of its own.
export function secondVideoApart(sdp) {
  const sections = sdp.split(/(?=^m=)/m);
  const second = sections.filter((one) => one.startsWith("m=video"))[1];
  return sections.map((one) => (one === second
    ? one.replace(/^(a=msid:|a=ssrc:\d+ msid:)\S+/gm, "$1view") : one)).join("");
}

// A browser plays audio later than it shows video, and takes ten seconds to align them to some
// 60 ms. So video is delayed from the start.
const VIDEO_DELAY_MS = 85;

// Returns { peer, close }. `tracks` gets the avatar's stream and the view's (null without);
// `signal` gives the call up, and then its place is free at once.
export async function call({ role, media, withView, tracks, signal }) {
  const peer = new RTCPeerConnection();
  const close = () => {
    peer.onconnectionstatechange = null;
    peer.close();
  };
  const direction = role === "speaker" ? "sendrecv" : "recvonly";
  for (const kind of ["audio", "video"]) {
    const { sender, receiver } = peer.addTransceiver(media?.track(kind) ?? kind, { direction });
    if (media) media.senders[kind] = sender;
    if (kind === "video" && "jitterBufferTarget" in receiver)
      receiver.jitterBufferTarget = VIDEO_DELAY_MS;
  }
  const second = withView ? peer.addTransceiver("video", { direction: "recvonly" }) : null;
  const avatar = new MediaStream();
  const view = second ? new MediaStream() : null;
  peer.ontrack = ({ track, transceiver }) => {
    (transceiver === second ? view : avatar).addTrack(track);
  };
  try {
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const offer = JSON.stringify({ role, key: key(), sdp: peer.localDescription.sdp });
    const answer = await postNow("/api/join", offer, { timeoutMs: JOINING_MS, signal });
    if (signal.aborted) {
      await postNow("/api/leave", "", { place: answer.key });
      throw new Error(say("connection.given_up"));
    }
    setKey(answer.key);
    await peer.setRemoteDescription({ type: "answer", sdp: secondVideoApart(answer.sdp) });
  } catch (error) {
    close();
    throw error;
  }
  tracks(avatar, view);
  return { peer, close };
}

// What has come of the avatar's video so far, and what the network and this browser add, in ms.
export async function received(peer) {
  const [video] = peer.getTransceivers().filter((one) => one.receiver.track.kind === "video");
  const totals = { frames: 0, packets: 0, bytes: 0, roundTripMs: null, bufferMs: null };
  for (const report of (await peer.getStats(video.receiver.track)).values()) {
    if (report.type === "candidate-pair" && report.nominated)
      totals.roundTripMs = 1000 * (report.currentRoundTripTime ?? 0);
    if (report.type !== "inbound-rtp") continue;
    totals.frames = report.framesDecoded ?? 0;
    totals.packets = report.packetsReceived ?? 0;
    totals.bytes = report.bytesReceived ?? 0;
    if (report.jitterBufferEmittedCount)
      totals.bufferMs = 1000 * report.jitterBufferDelay / report.jitterBufferEmittedCount;
  }
  return totals;
}
