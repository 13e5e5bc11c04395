"""A browser's part of a conversation: marked camera frames and speech out, arrivals noted.

Like the page it asks for the state now and then, and comes again when it has lost the server.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import aiohttp
import av
import numpy as np
import soundfile
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from avatar_forcing_ros.benchmarks.web_session import MAX_MARK, draw_mark, read_mark
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web.library_patches import local_only
from avatar_forcing_ros.web.requests import KEY_HEADER
from avatar_forcing_ros.web.tracks import audio_frame

CAMERA_PERIOD_S = 0.0399  # not quite a frame: all phases between camera frames and blocks occur
AUDIO_PERIOD_S = 0.02
SMILE_PERIOD_S = 1.5
AUDIBLE = 0.05  # of full scale
RTP_HZ = 90_000
Audio = NDArray[np.float32]


@dataclass
class Observed:
    """What was sent and received, by this process's steady clock in seconds."""

    sent_s: list[float] = field(default_factory=list)  # of camera frame i
    received_s: list[float] = field(default_factory=list)  # of each frame of the avatar
    answered: list[tuple[int, float]] = field(default_factory=list)  # up to which, and when
    speech_pushed_s: list[float] = field(default_factory=list)
    speech_received_s: list[float] = field(default_factory=list)  # of the same
    stopped_s: list[float] = field(default_factory=list)  # when silence was asked for
    audible_s: list[float] = field(default_factory=list)  # of each packet, its last loud sample
    # when a frame came, and its time on the clock of its stream
    video_times_s: list[tuple[float, float]] = field(default_factory=list)
    audio_times_s: list[tuple[float, float]] = field(default_factory=list)
    states: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # the server's
    reconnects: int = 0


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
        draw_mark(pixels, len(self._observed.sent_s) % (MAX_MARK + 1))  # over all connections
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

    def __init__(
        self, origin: str, faces: Sequence[NDArray[np.uint8]], speech: Audio, address: str = ""
    ) -> None:
        """`address` is this machine's that it comes from: visitors are counted by theirs."""
        self.observed = Observed()
        self._origin, self._faces, self._speech = origin, faces, speech
        self._peer: RTCPeerConnection | None = None
        self._following: list[asyncio.Task[None]] = []
        connector = aiohttp.TCPConnector(local_addr=(address, 0)) if address else None
        self._session = aiohttp.ClientSession(headers={"Origin": origin}, connector=connector)

    async def join(self) -> None:
        """Begin, or come again; OutputError where the server does not let this one in."""
        await self._hang_up()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.addTrack(_Microphone(self._speech))
        self._peer.addTrack(_Camera(self._faces, self.observed))
        self._peer.on("track", self._on_track)
        with local_only():
            await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = {"sdp": self._peer.localDescription.sdp, "role": "speaker"}
        offer["key"] = str(self._session.headers.get(KEY_HEADER, ""))
        reply = await self._post("/api/join", json=offer)
        self._session.headers[KEY_HEADER] = reply["key"]
        await self._peer.setRemoteDescription(RTCSessionDescription(reply["sdp"], "answer"))

    async def check(self) -> None:
        """Ask for the server's state; come again where it, or the line, has lost this one."""
        async with self._session.get(self._origin + "/api/state") as reply:
            state = cast(dict[str, Any], await reply.json())
        self.observed.states.append((time.monotonic(), state))
        assert self._peer
        if state["you"] is None or self._peer.connectionState in ("failed", "closed"):
            self.observed.reconnects += 1
            await self.join()

    async def speak(self, speech: Audio) -> None:
        """Have the avatar say `speech`, as a WAV file."""
        wav = io.BytesIO()
        soundfile.write(wav, speech, SAMPLE_RATE_HZ, format="WAV")
        at_s = time.monotonic()
        await self._post("/api/speak_audio", data=wav.getvalue())
        self.observed.speech_pushed_s.append(at_s)

    async def stop_speaking(self) -> None:
        """Have it be silent."""
        self.observed.stopped_s.append(time.monotonic())
        await self._post("/api/stop_speaking", data="")

    async def close(self) -> None:
        """Hang up."""
        await self._hang_up()
        await self._session.close()

    async def _hang_up(self) -> None:
        following, self._following = self._following, []
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        if self._peer:
            await self._peer.close()

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
        follow = self._follow_video if track.kind == "video" else self._follow_audio
        self._following.append(asyncio.ensure_future(follow(track)))

    async def _follow_video(self, track: MediaStreamTrack) -> None:
        while True:
            frame = cast(av.VideoFrame, await track.recv())
            at_s = time.monotonic()
            self.observed.received_s.append(at_s)
            self.observed.video_times_s.append((at_s, _stream_s(frame)))
            number = read_mark(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if number is not None:
                self.observed.answered.append((number, at_s))

    async def _follow_audio(self, track: MediaStreamTrack) -> None:
        while True:
            frame = cast(av.AudioFrame, await track.recv())
            at_s = time.monotonic()
            self.observed.audio_times_s.append((at_s, _stream_s(frame)))
            values = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
            loud = np.flatnonzero(np.abs(values[:, 0] / 32_768.0) > AUDIBLE)
            if not len(loud):
                continue
            self.observed.audible_s.append(at_s + float(loud[-1]) / frame.sample_rate)
            if len(self.observed.speech_received_s) < len(self.observed.speech_pushed_s):
                first_s = at_s + float(loud[0]) / frame.sample_rate
                self.observed.speech_received_s.append(first_s)


def _stream_s(frame: av.VideoFrame | av.AudioFrame) -> float:
    """The time of `frame` on the clock of its stream."""
    return float((frame.pts or 0) * (frame.time_base or 0))
