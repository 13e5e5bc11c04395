"""A browser's camera and microphone as stamped pictures and 16 kHz sound on the avatar's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.error import FFmpegError

from avatar_forcing_ros.downmix import Downmix
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.sync.remote_clock import RemoteClock
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

LARGEST_PIXELS = 1920 * 1088
LONGEST_SIDE_PX = 640  # a face is found as well in no larger picture, and costs less


class Camera:
    """Pictures of the person. While one is made ready the newest of those that come waits."""

    def __init__(self, put: Callable[[VideoFrame], None], now_ns: Callable[[], int]) -> None:
        self._put, self._now_ns = put, now_ns
        self._clock = RemoteClock()
        self.received = self.dropped = self.refused = 0

    async def follow(self, track: MediaStreamTrack) -> None:
        """Hand on the pictures of `track` until it ends."""
        busy: asyncio.Task[None] | None = None
        waiting: tuple[av.VideoFrame, int] | None = None
        reading = asyncio.ensure_future(track.recv())
        try:
            while True:
                tasks = {reading, busy} if busy else {reading}
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    stamped = self._stamped(cast(av.VideoFrame, reading.result()))
                    reading = asyncio.ensure_future(track.recv())
                    if stamped:
                        self.dropped += waiting is not None
                        waiting = stamped
                if busy and busy.done():
                    busy.result()
                    busy = None
                if waiting and not busy:
                    busy = asyncio.ensure_future(asyncio.to_thread(self._hand_on, *waiting))
                    waiting = None
        except MediaStreamError:
            return
        finally:
            reading.cancel()

    def _stamped(self, frame: av.VideoFrame) -> tuple[av.VideoFrame, int] | None:
        self.received += 1
        if frame.width * frame.height > LARGEST_PIXELS or frame.pts is None:
            self.refused += 1
            return None
        return frame, self._clock.stamp_ns(media_ns(frame), self._now_ns())

    def _hand_on(self, frame: av.VideoFrame, stamp_ns: int) -> None:
        shrink = min(1.0, LONGEST_SIDE_PX / max(frame.width, frame.height))
        width, height = (max(2, round(shrink * side)) for side in (frame.width, frame.height))
        try:
            pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
        except (ValueError, FFmpegError):  # a kind of picture that cannot be converted
            self.refused += 1
            return
        self._put(VideoFrame(np.asarray(pixels, np.uint8), stamp_ns))


class Microphone:
    """Sound of the person."""

    def __init__(self, put: Callable[[AudioChunk], None], now_ns: Callable[[], int]) -> None:
        self._put, self._now_ns = put, now_ns
        self._clock = RemoteClock()
        self.received = self.refused = 0

    async def follow(self, track: MediaStreamTrack) -> None:
        """Hand on the sound of `track` until it ends."""
        resampler, downmix = _resampler(), Downmix(SAMPLE_RATE_HZ, 1)
        while True:
            try:
                frame = cast(av.AudioFrame, await track.recv())
            except MediaStreamError:
                return
            self.received += 1
            stamp_ns = self._clock.stamp_ns(media_ns(frame), self._now_ns())
            frame.pts = None  # places are told by stamps; the resampler would mend gaps itself
            try:
                parts = resampler.resample(frame)
            except (ValueError, FFmpegError):  # the sender changed rate or channels
                resampler = _resampler()
                self.refused += 1
                continue
            for part in parts:
                channels = np.asarray(part.to_ndarray().T, np.float32)  # [n, channels]
                if downmix.channels != channels.shape[1]:
                    downmix = Downmix(SAMPLE_RATE_HZ, channels.shape[1])
                # not FFmpeg's own mix to mono, which may be louder than full scale
                samples = downmix(channels)
                self._put(AudioChunk(samples, SAMPLE_RATE_HZ, stamp_ns))
                stamp_ns += round(len(samples) * 1e9 / SAMPLE_RATE_HZ)


def _resampler() -> av.AudioResampler:
    """To 16 kHz; channels stay."""
    return av.AudioResampler(format="fltp", rate=SAMPLE_RATE_HZ)


def media_ns(frame: av.VideoFrame | av.AudioFrame) -> int:
    """A frame's time on its stream's own clock."""
    return round((frame.pts or 0) * (frame.time_base or 0) * 1_000_000_000)
