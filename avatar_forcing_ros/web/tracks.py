"""The avatar's frames and sound as WebRTC tracks, both stamped by one clock.

A frame has a number on that clock; its picture's and its sound's RTP time are that number times a
constant, so a browser plays them together whatever happens on the way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame, VideoFrame
from avatar_forcing_ros.timebase import (
    FRAME_PERIOD_NS,
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
)

FULL_SCALE = 32_767
PIECE_SAMPLES = SAMPLES_PER_FRAME // 2  # what one packet of Opus carries
PIECE_S = PIECE_SAMPLES / SAMPLE_RATE_HZ
MOST_PICTURES = 2  # that wait: an older one is of no use
MOST_SOUNDS = 25  # frames of sound that wait: a second
VIDEO_HZ = 90_000  # of RTP
VIEW_PERIOD_NS = 1_000_000_000 // 15 - 5_000_000  # a little less, since cameras jitter
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
        self._frames: deque[tuple[int, AvatarFrame]] = deque()
        self._came = asyncio.Event()

    def put(self, number: int, frame: AvatarFrame) -> None:
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

    async def _next(self) -> tuple[int, AvatarFrame]:
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

    def put(self, number: int, frame: AvatarFrame) -> None:
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
    """A sound of each frame, 16 kHz; where frames are missing it is silent for as long.

    `pick` says which sound ``[640]`` it is, by default the avatar's voice.
    It is given out by 20 ms, one RTP packet each, since aiortc stamps all packets of a longer
    piece alike, and a browser plays the first of them alone. A frame's second half is held back
    until its time: the time of sending is what a browser aligns sound and pictures by.
    """

    kind = "audio"

    def __init__(
        self, pick: Callable[[AvatarFrame], NDArray[np.float32]] = lambda frame: frame.audio
    ) -> None:
        super().__init__(MOST_SOUNDS)
        self._pick = pick
        self._sent: int | None = None  # samples on the clock, up to which sound has been given
        self._rest = np.zeros(0, np.float32)
        self._next_due_s = 0.0

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they come."""
        loop = asyncio.get_running_loop()
        if len(self._rest):
            early_s = self._next_due_s - loop.time()
            # what is held up already, or silence that fills a gap, need not wait
            if early_s > 0 and not self._frames and len(self._rest) == PIECE_SAMPLES:
                await asyncio.sleep(early_s)
        else:
            number, frame = await self._next()
            start = number * SAMPLES_PER_FRAME
            if self._sent is None:
                self._sent = start
            gap = np.zeros(start - self._sent, np.float32)
            self._rest = np.concatenate((gap, self._pick(frame)))
        self._next_due_s = loop.time() + PIECE_S
        piece, self._rest = self._rest[:PIECE_SAMPLES], self._rest[PIECE_SAMPLES:]
        assert self._sent is not None
        sound = av.AudioFrame.from_ndarray(pcm16(piece)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE_HZ, self._sent
        sound.time_base = Fraction(1, SAMPLE_RATE_HZ)
        self._sent += len(piece)
        return sound


class ViewPicture(MediaStreamTrack):
    """What the robot sees, at most 15 Hz: it shares the way and the machine with the avatar."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._newest: VideoFrame | None = None
        self._shown_ns: int | None = None
        self._pts = 0
        self._came = asyncio.Event()

    def put(self, frame: VideoFrame) -> None:
        """Take a picture; the newest waits to be shown."""
        self._newest = frame
        self._came.set()

    def stop(self) -> None:
        """End the track; whoever waits for a picture is told."""
        super().stop()
        self._came.set()

    async def recv(self) -> av.VideoFrame:
        """The next picture that is not too soon after the last, when it comes."""
        while self.readyState == "live":
            frame, self._newest = self._newest, None
            passed_ns = 0
            if frame and self._shown_ns is not None:
                passed_ns = frame.stamp_ns - self._shown_ns
            # stamps that go back, or far ahead, are of another counting
            if frame and not 0 < passed_ns < VIEW_PERIOD_NS:
                return self._picture(frame, passed_ns)
            self._came.clear()
            await self._came.wait()
        raise MediaStreamError

    def _picture(self, frame: VideoFrame, passed_ns: int) -> av.VideoFrame:
        self._shown_ns = frame.stamp_ns
        within = 0 < passed_ns < LONGEST_GAP_FRAMES * FRAME_PERIOD_NS
        self._pts += round((passed_ns if within else VIEW_PERIOD_NS) * VIDEO_HZ / 1e9)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), format="rgb24")
        picture.pts, picture.time_base = self._pts, Fraction(1, VIDEO_HZ)
        return picture


def pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Sound ``[n]`` in -1…1 as 16-bit whole numbers."""
    return np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)
