"""The browser's part: marked pictures and sound go in, and what comes back is timed on arrival."""

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

from avatar_forcing_ros.benchmarks import web_picture_marks as picture_marks
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web.ice_hosts import at_home
from avatar_forcing_ros.web.prompt_receiving import hasten
from avatar_forcing_ros.web.server import KEY_HEADER
from avatar_forcing_ros.web.tracks import pcm16

CAMERA_PERIOD_S = 0.0399  # not quite a frame: every phase between pictures and blocks comes by
SOUND_PIECE_S = 0.02
SMILE_PERIOD_S = 1.5
AUDIBLE = 0.05  # of full scale
RTP_HZ = 90_000
Sound = NDArray[np.float32]


@dataclass
class Observed:
    """What was sent and received, by this process's steady clock in seconds."""

    sent_s: list[float] = field(default_factory=list)  # of camera picture i
    came_s: list[float] = field(default_factory=list)  # of each picture of the avatar
    answered: list[tuple[int, float]] = field(default_factory=list)  # up to which, and when
    said_s: list[float] = field(default_factory=list)  # when speech was handed over
    heard_s: list[float] = field(default_factory=list)  # when it sounded; one each


class _Paced(MediaStreamTrack):
    """A device that gives something every so often."""

    def __init__(self, period_s: float) -> None:
        super().__init__()
        self._period_s = period_s
        self._count = 0
        self._began_s: float | None = None

    async def _turn(self) -> int:
        """The number of what is to be given, when it is time."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._began_s is None:
            self._began_s = time.monotonic()
        await asyncio.sleep(self._began_s + self._count * self._period_s - time.monotonic())
        self._count += 1
        return self._count - 1


class _Camera(_Paced):
    """Somebody at rest and smiling in turn; every picture carries its number."""

    kind = "video"

    def __init__(self, faces: Sequence[NDArray[np.uint8]], observed: Observed) -> None:
        super().__init__(CAMERA_PERIOD_S)
        self._faces, self._observed = faces, observed

    async def recv(self) -> av.VideoFrame:
        """The next picture."""
        index = await self._turn()
        smiling = int(index * CAMERA_PERIOD_S / SMILE_PERIOD_S) % 2
        pixels = self._faces[smiling].copy()
        picture_marks.mark(pixels, index % (picture_marks.LARGEST + 1))
        self._observed.sent_s.append(time.monotonic())
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        picture.pts = round(index * CAMERA_PERIOD_S * RTP_HZ)
        picture.time_base = Fraction(1, RTP_HZ)
        return picture


class _Microphone(_Paced):
    """Somebody's voice, over and over."""

    kind = "audio"

    def __init__(self, voice: Sound) -> None:
        super().__init__(SOUND_PIECE_S)
        self._voice = voice

    async def recv(self) -> av.AudioFrame:
        """The next piece."""
        index = await self._turn()
        count = round(SOUND_PIECE_S * SAMPLE_RATE_HZ)
        samples = np.take(self._voice, np.arange(count) + index * count, mode="wrap")
        sound = av.AudioFrame.from_ndarray(pcm16(samples)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE_HZ, index * count
        sound.time_base = Fraction(1, SAMPLE_RATE_HZ)
        return sound


class Caller:
    """One conversation with the server at `origin`, observed."""

    def __init__(self, origin: str, faces: Sequence[NDArray[np.uint8]], voice: Sound) -> None:
        self.observed = Observed()
        self._origin = origin
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.addTrack(_Microphone(voice))
        self._peer.addTrack(_Camera(faces, self.observed))
        self._peer.on("track", self._on_track)
        for transceiver in self._peer.getTransceivers():  # as browsers do
            hasten(transceiver.receiver, transceiver.kind)
        self._following: list[asyncio.Task[None]] = []
        self._session = aiohttp.ClientSession(headers={"Origin": origin})

    async def join(self) -> None:
        """Begin; OutputError where the server does not let this one in."""
        with at_home():
            await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = {"sdp": self._peer.localDescription.sdp, "role": "speaker"}
        told = await self._post("/api/join", json=offer)
        self._session.headers[KEY_HEADER] = told["key"]
        await self._peer.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))

    async def say(self, speech: Sound) -> None:
        """Have the avatar say `speech`, as a WAV file."""
        wav = io.BytesIO()
        soundfile.write(wav, speech, SAMPLE_RATE_HZ, format="WAV")
        at_s = time.monotonic()
        await self._post("/api/sound", data=wav.getvalue())
        self.observed.said_s.append(at_s)

    async def close(self) -> None:
        """Hang up."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._peer.close()
        await self._session.close()

    async def _post(self, path: str, **more: Any) -> dict[str, Any]:
        async with self._session.post(self._origin + path, **more) as reply:
            told = cast(dict[str, Any], await reply.json())
        if reply.status != 200:
            raise OutputError(
                f"request {path}",
                expected="the server to grant it",
                got=f"{reply.status}: {told.get('error')}",
                remedy="run it again on a quiet machine",
            )
        return told

    def _on_track(self, track: MediaStreamTrack) -> None:
        follow = self._watch if track.kind == "video" else self._listen
        self._following.append(asyncio.ensure_future(follow(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            picture = cast(av.VideoFrame, await track.recv())
            at_s = time.monotonic()
            self.observed.came_s.append(at_s)
            number = picture_marks.read(np.asarray(picture.to_ndarray(format="rgb24"), np.uint8))
            if number is not None:
                self.observed.answered.append((number, at_s))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            sound = cast(av.AudioFrame, await track.recv())
            at_s = time.monotonic()
            if len(self.observed.heard_s) < len(self.observed.said_s):
                values = sound.to_ndarray().reshape(-1, len(sound.layout.channels))
                loud = np.abs(values[:, 0] / 32_768.0) > AUDIBLE
                if loud.any():
                    self.observed.heard_s.append(at_s + float(loud.argmax()) / sound.sample_rate)
