// One WebRTC connection: the avatar comes in, camera and microphone go out.

import { key, postJson, setKey } from "./api.js";

const GATHERING_MS = 2000; // longer than any address of this machine takes
const MEDIA = {
  audio: { echoCancellation: true, noiseSuppression: true },
  video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 } },
};

// camera and microphone, or what there is of them; null where the browser gives none
export async function openMedia() {
  if (!navigator.mediaDevices) return null;
  for (const wanted of [MEDIA, { audio: MEDIA.audio }, { video: MEDIA.video }]) {
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch (error) {
      if (error.name === "NotAllowedError") return null;
    }
  }
  return null;
}

function gathered(peer) {
  return new Promise((done) => {
    const check = () => peer.iceGatheringState === "complete" && done();
    peer.addEventListener("icegatheringstatechange", check);
    setTimeout(done, GATHERING_MS);
    check();
  });
}

// returns the connection; `onLost` is called when it breaks
export async function call(role, media, video, onLost) {
  const peer = new RTCPeerConnection();
  const incoming = new MediaStream();
  peer.ontrack = (event) => {
    incoming.addTrack(event.track);
    video.srcObject = event.streams[0] || incoming;
  };
  for (const kind of ["audio", "video"]) {
    const track = media?.getTracks().find((one) => one.kind === kind);
    if (track) peer.addTransceiver(track, { direction: "sendrecv", streams: [media] });
    else peer.addTransceiver(kind, { direction: "recvonly" });
  }
  peer.onconnectionstatechange = () => {
    if (["failed", "closed"].includes(peer.connectionState)) onLost();
  };
  try {
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const answer = await postJson("/api/join",
      { role, key: key(), sdp: peer.localDescription.sdp });
    setKey(answer.key);
    await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  } catch (error) {
    peer.onconnectionstatechange = null;
    peer.close();
    throw error;
  }
  return peer;
}

// what the way from the avatar to this screen adds, in ms; null while unknown
export async function delays(peer) {
  let wayMs = null;
  let bufferMs = null;
  for (const report of (await peer.getStats()).values()) {
    if (report.type === "candidate-pair" && report.nominated)
      wayMs = 1000 * (report.currentRoundTripTime ?? 0);
    if (report.type === "inbound-rtp" && report.kind === "video" && report.jitterBufferEmittedCount)
      bufferMs = 1000 * report.jitterBufferDelay / report.jitterBufferEmittedCount;
  }
  return { wayMs, bufferMs };
}
