"""The avatar's frames and audio as WebRTC tracks, both stamped by one clock.

A frame has a number on that clock; the RTP times of its image and its audio are that number times
a constant, so a browser plays them together whatever happens on the way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Generic, TypeVar

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
PACKET_SAMPLES = SAMPLES_PER_FRAME // 2  # what one packet of Opus carries
PACKET_S = PACKET_SAMPLES / SAMPLE_RATE_HZ
MAX_WAITING_IMAGES = 2  # an older one is of no use
MAX_WAITING_AUDIO = 25  # frames: a second
RTP_VIDEO_HZ = 90_000
VIEW_PERIOD_NS = 1_000_000_000 // 15 - 5_000_000  # a little less, since cameras jitter
MAX_GAP_FRAMES = 125  # a longer gap is closed up
MIX_KNEE = 0.7  # up to here a mix stays as it is
T = TypeVar("T")


def speaker_audio(frame: AvatarFrame) -> NDArray[np.float32]:
    """A speaker's audio ``[640]``: the robot's microphone where there is one, else the avatar.

    Whoever speaks through the avatar does not get their own speech back.
    """
    return frame.audio if frame.robot_audio is None else frame.robot_audio


def viewer_audio(frame: AvatarFrame) -> NDArray[np.float32]:
    """A viewer's audio ``[640]``: the avatar and the robot's microphone."""
    return frame.audio if frame.robot_audio is None else mix(frame.audio, frame.robot_audio)


def mix(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum ``[n]`` of both, in -1…1: peaks are compressed instead of clipped."""
    both = one + other
    level = np.abs(both)
    if level.max(initial=0.0) <= MIX_KNEE:
        return both
    headroom = 1.0 - MIX_KNEE
    compressed = MIX_KNEE + headroom * np.tanh((level - MIX_KNEE) / headroom)
    return np.where(level <= MIX_KNEE, both, np.copysign(compressed, both)).astype(np.float32)


class FrameNumbers:
    """Frames of one conversation after the other on one scale of 25 a second, ever upwards."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._number = -1

    def next(self, stamp_ns: int) -> int:
        """The number of the next frame, stamped `stamp_ns`; gaps of up to 5 s are kept."""
        ahead = 1
        if self._last_ns is not None:
            frames = round((stamp_ns - self._last_ns) / FRAME_PERIOD_NS)
            ahead = frames if 1 <= frames <= MAX_GAP_FRAMES else 1
        self._last_ns = stamp_ns
        self._number += ahead
        return self._number


class _FedTrack(MediaStreamTrack, Generic[T]):
    """A track that is fed from outside, in the event loop; the oldest gives way."""

    max_waiting: int

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._queue: deque[T] = deque()
        self._fed = asyncio.Event()

    def _feed(self, item: T) -> None:
        self._queue.append(item)
        if len(self._queue) > self.max_waiting:
            self._queue.popleft()
            self.dropped += 1
        self._fed.set()

    def stop(self) -> None:
        """End the track; whoever waits for a frame gets MediaStreamError."""
        super().stop()
        self._fed.set()

    async def _next(self) -> T:
        while not self._queue and self.readyState == "live":
            self._fed.clear()
            await self._fed.wait()
        if self.readyState != "live":
            raise MediaStreamError
        return self._queue.popleft()


class AvatarVideo(_FedTrack[tuple[int, AvatarFrame]]):
    """The avatar's face, 25 Hz; what is transparent around it as `stacked` has it."""

    kind = "video"
    max_waiting = MAX_WAITING_IMAGES

    def put(self, number: int, frame: AvatarFrame) -> None:
        """Take a frame that has an image; without one the last image stays."""
        if frame.pixels is not None:
            self._feed((number, frame))

    async def recv(self) -> av.VideoFrame:
        """The next image, when it comes."""
        number, frame = await self._next()
        assert frame.pixels is not None
        return _video_frame(stacked(frame.pixels), number, FRAME_RATE_HZ)


class AvatarAudio(_FedTrack[tuple[int, AvatarFrame]]):
    """The audio of each frame, 16 kHz; missing frames are silence of their length.

    `pick` gives the audio ``[640]`` of a frame. It is given out by 20 ms, one RTP packet
    each, since aiortc stamps all packets of a longer piece alike, and a browser plays the first of
    them alone. A frame's second half is held back until its time: the time of sending is what a
    browser aligns audio and video by.
    """

    kind = "audio"
    max_waiting = MAX_WAITING_AUDIO

    def __init__(
        self, pick: Callable[[AvatarFrame], NDArray[np.float32]] = lambda frame: frame.audio
    ) -> None:
        super().__init__()
        self._pick = pick
        self._sent: int | None = None  # samples on the clock that have been given out
        self._rest = np.zeros(0, np.float32)
        self._next_due_s = 0.0

    def put(self, number: int, frame: AvatarFrame) -> None:
        """Take a frame and its number."""
        self._feed((number, frame))

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they come."""
        loop = asyncio.get_running_loop()
        if len(self._rest):
            early_s = self._next_due_s - loop.time()
            # what is late already, or silence that fills a gap, need not wait
            if early_s > 0 and not self._queue and len(self._rest) == PACKET_SAMPLES:
                await asyncio.sleep(early_s)
        else:
            number, frame = await self._next()
            start = number * SAMPLES_PER_FRAME
            if self._sent is None:
                self._sent = start
            gap = np.zeros(start - self._sent, np.float32)
            self._rest = np.concatenate((gap, self._pick(frame)))
        self._next_due_s = loop.time() + PACKET_S
        part, self._rest = self._rest[:PACKET_SAMPLES], self._rest[PACKET_SAMPLES:]
        assert self._sent is not None
        audio = audio_frame(part, self._sent)
        self._sent += len(part)
        return audio


class ViewVideo(_FedTrack[VideoFrame]):
    """The robot's camera, at most 15 Hz: it shares the line and the machine with the avatar."""

    kind = "video"
    max_waiting = 1

    def __init__(self) -> None:
        super().__init__()
        self._shown_ns: int | None = None
        self._pts = 0

    def put(self, frame: VideoFrame) -> None:
        """Take a frame; the newest waits to be shown."""
        self._feed(frame)

    async def recv(self) -> av.VideoFrame:
        """The next frame that is not too soon after the last, when it comes."""
        while True:
            frame = await self._next()
            passed_ns = 0 if self._shown_ns is None else frame.stamp_ns - self._shown_ns
            # stamps that go back, or far ahead, are of another clock
            if not 0 < passed_ns < VIEW_PERIOD_NS:
                break
        self._shown_ns = frame.stamp_ns
        within = 0 < passed_ns < MAX_GAP_FRAMES * FRAME_PERIOD_NS
        self._pts += round((passed_ns if within else VIEW_PERIOD_NS) * RTP_VIDEO_HZ / 1e9)
        return _video_frame(frame.pixels, self._pts, RTP_VIDEO_HZ)


def stacked(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA ``[H, W, 4]`` as a video carries it: ``[2 H, W, 3]``, alpha as grey below the colours.

    RGB stays as it is.
    """
    if pixels.shape[2] == 3:
        return pixels
    return np.vstack((pixels[..., :3], np.repeat(pixels[..., 3:], 3, axis=2)))


def audio_frame(samples: NDArray[np.float32], pts: int) -> av.AudioFrame:
    """Mono audio ``[n]``, 16 kHz, as 16-bit integers; `pts` counts samples."""
    pcm = np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, pts
    frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
    return frame


def _video_frame(pixels: NDArray[np.uint8], pts: int, rate_hz: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame.pts, frame.time_base = pts, Fraction(1, rate_hz)
    return frame
