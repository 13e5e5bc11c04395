"""A conversation of some minutes with a server in another process, as a browser has it, measured.

Marked camera frames and audio go in, and what comes back is timed on arrival.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any, cast

import aiohttp
import av
import cv2
import numpy as np
import soundfile
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray
from tqdm import tqdm

from avatar_forcing_ros.benchmarks.process_use import cpu_s, memory_mb
from avatar_forcing_ros.benchmarks.stages import user_faces
from avatar_forcing_ros.benchmarks.web_server import serve
from avatar_forcing_ros.benchmarks.web_session import MAX_MARK, draw_mark, read_mark
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.offline.demo import AVATAR_SPEECH, USER_SPEECH
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ
from avatar_forcing_ros.web.library_patches import LOOPBACK, install_patches, local_only
from avatar_forcing_ros.web.server import KEY_HEADER
from avatar_forcing_ros.web.tracks import audio_frame

START_TIMEOUT_S = 120.0
SETTLE_S = 5.0  # at the beginning of the conversation, not measured
SPEECH_S, SPEECH_PERIOD_S = 3.0, 6.0
SAMPLE_PERIOD_S = 1.0  # of processor time and memory
LATE_S = 1.5 * FRAME_PERIOD_NS / 1e9  # after the frame before
CAMERA_PX = (640, 480)
CAMERA_PERIOD_S = 0.0399  # not quite a frame: all phases between camera frames and blocks occur
AUDIO_PERIOD_S = 0.02
SMILE_PERIOD_S = 1.5
AUDIBLE = 0.05  # of full scale
RTP_HZ = 90_000
Metrics = dict[str, Any]
Audio = NDArray[np.float32]


def run_live_benchmark(
    config: AvatarConfig, seconds: float, warn: Callable[[str], None]
) -> Metrics:
    """Talk with a server for `seconds` as a browser would; what both ends saw of it.

    `warn` gets a sentence for whatever goes wrong on the way. Raises OutputError where the server
    does not start.
    """
    install_patches(video_encoder=False)  # the browser has its own
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(config, there), name="live-server")
    process.start()
    there.close()
    try:
        port, pids = _wait_until_ready(here, warn)
        metrics = asyncio.run(
            _converse(f"http://{LOOPBACK}:{port}", _faces(config), pids, seconds)
        )
        while here.poll():
            warn(here.recv()[1])
        here.send("end")
        process.join(START_TIMEOUT_S)
    except (EOFError, BrokenPipeError, ProcessLookupError):
        raise OutputError(
            "the server",
            expected="it to serve",
            got="its end",
            remedy="start it by itself: avatar-forcing live",
        ) from None
    finally:
        if process.is_alive():
            process.kill()
    return {"preset": config.preset, "seconds": seconds} | metrics


def _wait_until_ready(here: Connection, warn: Callable[[str], None]) -> tuple[int, list[int]]:
    """The server's port, and its process ids."""
    while True:
        if not here.poll(START_TIMEOUT_S):
            raise EOFError
        kind, content = here.recv()
        if kind == "ready":
            return int(content[0]), list(content[1])
        if kind == "failed":
            raise content
        warn(content)


def _faces(config: AvatarConfig) -> list[NDArray[np.uint8]]:
    """Somebody at rest and smiling, as a camera shows them."""
    session = build_session(config)
    faces = [_camera_image(face) for face in user_faces(session)]
    session.close()
    return faces


def _camera_image(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`face`, which is square, in the middle of a camera's image ``[480, 640, 3]``."""
    width, height = CAMERA_PX
    side = (width - height) // 2
    square = cv2.resize(face, (height, height), interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(square, 0, 0, side, side, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8)


async def _converse(
    origin: str, faces: list[NDArray[np.uint8]], pids: list[int], seconds: float
) -> Metrics:
    speech, onset_s = _excerpt(read_audio(shipped(AVATAR_SPEECH)))
    caller = Caller(origin, faces, read_audio(shipped(USER_SPEECH)))
    try:
        await caller.join()
        await asyncio.sleep(SETTLE_S)
        begin_s = time.monotonic()
        usage = await _talk(caller, speech, pids, begin_s, seconds)
    finally:
        await caller.close()
    return conversation_metrics(caller.observed, begin_s, begin_s + seconds, onset_s) | usage


def _excerpt(audio: Audio) -> tuple[Audio, float]:
    """The first seconds of `audio`, and when in them it becomes audible."""
    speech = audio[: round(SPEECH_S * SAMPLE_RATE_HZ)]
    return speech, float((np.abs(speech) > AUDIBLE).argmax()) / SAMPLE_RATE_HZ


async def _talk(
    caller: Caller, speech: Audio, pids: list[int], begin_s: float, seconds: float
) -> Metrics:
    """Speak now and then; processor time and memory of server and caller meanwhile."""
    cpu_before_s, own_before_s = [cpu_s(pid) for pid in pids], time.process_time()
    samples: list[tuple[float, float]] = []  # seconds, MB
    spoke_s = begin_s - SPEECH_PERIOD_S / 2
    with tqdm(total=round(seconds), unit="s", desc="talking", leave=False, disable=None) as bar:
        while (now_s := time.monotonic()) < begin_s + seconds:
            samples.append((now_s - begin_s, sum(memory_mb(pid) for pid in pids)))
            if now_s >= spoke_s + SPEECH_PERIOD_S:
                spoke_s = now_s
                await caller.speak(speech)
            bar.update(round(now_s - begin_s) - bar.n)
            await asyncio.sleep(SAMPLE_PERIOD_S)
    took_s = time.monotonic() - begin_s
    web, avatar = (
        round(100 * (cpu_s(pid) - before_s) / took_s, 1)
        for pid, before_s in zip(pids, cpu_before_s, strict=True)
    )
    times, held_mb = np.array(samples).T
    slope = np.polyfit(times, held_mb, 1)[0] if len(times) > 2 else 0.0
    return {
        "percent_of_a_core": {
            "avatar": avatar,
            "web": web,
            "caller": round(100 * (time.process_time() - own_before_s) / took_s, 1),
        },
        "memory_mb": {
            "begin": held_mb[0],
            "end": held_mb[-1],
            "most": float(held_mb.max()),
            "growth_a_minute": round(60 * float(slope), 2),
        },
    }


def conversation_metrics(seen: Observed, begin_s: float, end_s: float, onset_s: float) -> Metrics:
    """Delays, rates and losses in that time; each speech becomes audible after `onset_s`."""
    received = np.array([at_s for at_s in seen.received_s if begin_s <= at_s < end_s])
    gaps_s = np.diff(received) if len(received) > 1 else np.zeros(1)
    speech_ms = [
        1000 * (heard_s - pushed_s - onset_s)
        for pushed_s, heard_s in zip(seen.speech_pushed_s, seen.speech_heard_s, strict=False)
    ]
    return {
        "reaction_ms": _spread(_reactions_ms(seen, begin_s, end_s)),
        "speech_ms": _spread(speech_ms),
        "speeches_lost": len(seen.speech_pushed_s) - len(speech_ms),
        "fps": round(len(received) / (end_s - begin_s), 2),
        "late_pictures": int((gaps_s > LATE_S).sum()),
        "longest_gap_ms": round(1000 * float(gaps_s.max()), 1),
        "pictures_sent": sum(begin_s <= at_s < end_s for at_s in seen.sent_s),
    }


def _reactions_ms(seen: Observed, begin_s: float, end_s: float) -> list[float]:
    """For every camera frame of that time how long after it the first came that depends on it.

    One that was left out counts until the first that depends on a later one.
    """
    reactions, at = [], 0
    for number, received_s in seen.answered:
        last = at + (number - at) % 65_536
        if last >= len(seen.sent_s):
            continue  # of before: none of ours
        for index in range(at, last + 1):
            if begin_s <= seen.sent_s[index] < end_s:
                reactions.append(1000 * (received_s - seen.sent_s[index]))
        at = max(at, last + 1)
    return reactions


def _spread(values_ms: list[float]) -> dict[str, float]:
    if not values_ms:
        return {"count": 0}
    median, p95, worst = np.percentile(values_ms, (50, 95, 100))
    return {
        "count": len(values_ms),
        "median": round(median, 1),
        "p95": round(p95, 1),
        "worst": round(worst, 1),
    }


def as_table(metrics: Metrics) -> str:
    """The metrics for a person to read."""
    lines = [f"{'':<34}{'median':>9}{'p95':>9}{'worst':>9}   ms"]
    for name, row in (
        ("from a camera frame to its answer", metrics["reaction_ms"]),
        ("from speech to its audio", metrics["speech_ms"]),
    ):
        values = "".join(f"{row.get(k, float('nan')):>9.0f}" for k in ("median", "p95", "worst"))
        lines.append(f"{name:<34}{values}   of {row['count']}")
    memory, share = metrics["memory_mb"], metrics["percent_of_a_core"]
    lines += [
        "",
        f"{metrics['fps']} frames a second came, {metrics['late_pictures']} late "
        f"(longest gap {metrics['longest_gap_ms']} ms); "
        f"{metrics['speeches_lost']} speeches were not heard",
        f"avatar {share['avatar']} % of a core, web server {share['web']} %, "
        f"caller {share['caller']} %; memory {memory['begin']:.0f} MB, "
        f"at the end {memory['end']:.0f} MB ({memory['growth_a_minute']:+.2f} MB a minute)",
    ]
    return "\n".join(lines)


@dataclass
class Observed:
    """What was sent and received, by this process's steady clock in seconds."""

    sent_s: list[float] = field(default_factory=list)  # of camera frame i
    received_s: list[float] = field(default_factory=list)  # of each frame of the avatar
    answered: list[tuple[int, float]] = field(default_factory=list)  # up to which, and when
    speech_pushed_s: list[float] = field(default_factory=list)
    speech_heard_s: list[float] = field(default_factory=list)  # of the same


class _Paced(MediaStreamTrack):
    """A device that gives something at a fixed rate."""

    def __init__(self, period_s: float) -> None:
        super().__init__()
        self._period_s = period_s
        self._count = 0
        self._began_s: float | None = None

    async def _next_index(self) -> int:
        """The number of the next item, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._began_s is None:
            self._began_s = time.monotonic()
        await asyncio.sleep(self._began_s + self._count * self._period_s - time.monotonic())
        self._count += 1
        return self._count - 1


class _Camera(_Paced):
    """Somebody at rest and smiling in turn; every frame carries its number."""

    kind = "video"

    def __init__(self, faces: Sequence[NDArray[np.uint8]], observed: Observed) -> None:
        super().__init__(CAMERA_PERIOD_S)
        self._faces, self._observed = faces, observed

    async def recv(self) -> av.VideoFrame:
        """The next frame."""
        index = await self._next_index()
        smiling = int(index * CAMERA_PERIOD_S / SMILE_PERIOD_S) % 2
        pixels = self._faces[smiling].copy()
        draw_mark(pixels, index % (MAX_MARK + 1))
        self._observed.sent_s.append(time.monotonic())
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts = round(index * CAMERA_PERIOD_S * RTP_HZ)
        frame.time_base = Fraction(1, RTP_HZ)
        return frame


class _Microphone(_Paced):
    """Somebody's speech, over and over."""

    kind = "audio"

    def __init__(self, speech: Audio) -> None:
        super().__init__(AUDIO_PERIOD_S)
        self._speech = speech

    async def recv(self) -> av.AudioFrame:
        """The next chunk."""
        index = await self._next_index()
        count = round(AUDIO_PERIOD_S * SAMPLE_RATE_HZ)
        samples = np.take(self._speech, np.arange(count) + index * count, mode="wrap")
        return audio_frame(samples, index * count)


class Caller:
    """One conversation with the server at `origin`, observed."""

    def __init__(self, origin: str, faces: Sequence[NDArray[np.uint8]], speech: Audio) -> None:
        self.observed = Observed()
        self._origin = origin
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.addTrack(_Microphone(speech))
        self._peer.addTrack(_Camera(faces, self.observed))
        self._peer.on("track", self._on_track)
        self._following: list[asyncio.Task[None]] = []
        self._session = aiohttp.ClientSession(headers={"Origin": origin})

    async def join(self) -> None:
        """Begin; OutputError where the server does not let this one in."""
        with local_only():
            await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = {"sdp": self._peer.localDescription.sdp, "role": "speaker"}
        reply = await self._post("/api/join", json=offer)
        self._session.headers[KEY_HEADER] = reply["key"]
        await self._peer.setRemoteDescription(RTCSessionDescription(reply["sdp"], "answer"))

    async def speak(self, speech: Audio) -> None:
        """Have the avatar say `speech`, as a WAV file."""
        wav = io.BytesIO()
        soundfile.write(wav, speech, SAMPLE_RATE_HZ, format="WAV")
        at_s = time.monotonic()
        await self._post("/api/speak_audio", data=wav.getvalue())
        self.observed.speech_pushed_s.append(at_s)

    async def close(self) -> None:
        """Hang up."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._peer.close()
        await self._session.close()

    async def _post(self, path: str, **more: Any) -> dict[str, Any]:
        async with self._session.post(self._origin + path, **more) as reply:
            body = cast(dict[str, Any], await reply.json())
        if reply.status != 200:
            raise OutputError(
                f"request {path}",
                expected="the server to grant it",
                got=f"{reply.status}: {body.get('error')}",
                remedy="run it again on a quiet machine",
            )
        return body

    def _on_track(self, track: MediaStreamTrack) -> None:
        follow = self._watch if track.kind == "video" else self._listen
        self._following.append(asyncio.ensure_future(follow(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            frame = cast(av.VideoFrame, await track.recv())
            at_s = time.monotonic()
            self.observed.received_s.append(at_s)
            number = read_mark(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if number is not None:
                self.observed.answered.append((number, at_s))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            frame = cast(av.AudioFrame, await track.recv())
            at_s = time.monotonic()
            if len(self.observed.speech_heard_s) < len(self.observed.speech_pushed_s):
                values = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
                loud = np.abs(values[:, 0] / 32_768.0) > AUDIBLE
                if loud.any():
                    self.observed.speech_heard_s.append(
                        at_s + float(loud.argmax()) / frame.sample_rate
                    )
