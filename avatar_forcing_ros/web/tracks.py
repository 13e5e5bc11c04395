"""The avatar's frames and sound as WebRTC tracks, both stamped by one clock.

A frame has a number on that clock; its picture's and its sound's RTP time are that number times a
constant, so a browser plays them together whatever happens on the way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import (
    FRAME_PERIOD_NS,
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
)
from avatar_forcing_ros.web.stage import StageFrame

FULL_SCALE = 32_767
MOST_PICTURES = 2  # that wait: an older one is of no use
MOST_SOUNDS = 25  # frames of sound that wait: a second
LONGEST_GAP_FRAMES = 125  # that stays a gap; what is longer is closed up


class FrameNumbers:
    """Frames of one conversation after the other on one scale of 25 a second, ever upwards."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._number = -1

    def of(self, stamp_ns: int) -> int:
        """The number of the next frame, stamped `stamp_ns`; gaps of up to 5 s are kept."""
        ahead = 1
        if self._last_ns is not None:
            told = round((stamp_ns - self._last_ns) / FRAME_PERIOD_NS)
            ahead = told if 1 <= told <= LONGEST_GAP_FRAMES else 1
        self._last_ns = stamp_ns
        self._number += ahead
        return self._number


class _Track(MediaStreamTrack):
    """A track that is filled from outside, in the event loop; what is old gives way."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.dropped = 0
        self._most = most
        self._frames: deque[tuple[int, StageFrame]] = deque()
        self._came = asyncio.Event()

    def put(self, number: int, frame: StageFrame) -> None:
        """Take a frame and its number."""
        self._frames.append((number, frame))
        while len(self._frames) > self._most:
            self._frames.popleft()
            self.dropped += 1
        self._came.set()

    def stop(self) -> None:
        """End the track; whoever waits for a frame is told."""
        super().stop()
        self._came.set()

    async def _next(self) -> tuple[int, StageFrame]:
        while not self._frames and self.readyState == "live":
            self._came.clear()
            await self._came.wait()
        if self.readyState != "live":
            raise MediaStreamError
        return self._frames.popleft()


class AvatarPicture(_Track):
    """The avatar's face, 25 Hz."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__(MOST_PICTURES)

    def put(self, number: int, frame: StageFrame) -> None:
        """Take a frame that has a picture; without one the last picture stays."""
        if frame.pixels is not None:
            super().put(number, frame)

    async def recv(self) -> av.VideoFrame:
        """The next picture, when it comes."""
        number, frame = await self._next()
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), format="rgb24")
        picture.pts, picture.time_base = number, Fraction(1, FRAME_RATE_HZ)
        return picture


class AvatarSound(_Track):
    """The avatar's voice, 16 kHz; where frames are missing it is silent for as long."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__(MOST_SOUNDS)
        self._sent: int | None = None  # samples on the clock, up to which sound has been given

    async def recv(self) -> av.AudioFrame:
        """The next frame's sound, when it comes."""
        number, frame = await self._next()
        start = number * SAMPLES_PER_FRAME
        begin = start if self._sent is None else self._sent
        samples = np.concatenate((np.zeros(start - begin, np.float32), frame.audio))
        self._sent = start + len(frame.audio)
        sound = av.AudioFrame.from_ndarray(pcm16(samples)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE_HZ, begin
        sound.time_base = Fraction(1, SAMPLE_RATE_HZ)
        return sound


def pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Sound ``[n]`` in -1…1 as 16-bit whole numbers."""
    return np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)
