"""What a browser sends: camera and microphone as stamped media, and uploaded files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.error import FFmpegError
from numpy.typing import NDArray

from avatar_forcing_ros.downmix import Downmix
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.media_files.reading import decode_audio
from avatar_forcing_ros.rig.image_files import decode_image
from avatar_forcing_ros.sync.clock_mapping import RemoteClock
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

MAX_CAMERA_PIXELS = 1920 * 1088
MAX_CAMERA_SIDE_PX = 640  # a face is found as well in no larger image, and costs less
MAX_UPLOAD_BYTES = 12 * 1024 * 1024  # a minute of 48 kHz stereo, as WAV, has 11.5 million
MAX_UPLOAD_AUDIO_S = 60.0
MIN_SIDE_PX = 64


class Camera:
    """Frames of the user. While one is converted the newest of those that come waits."""

    def __init__(self, push: Callable[[VideoFrame], None], now_ns: Callable[[], int]) -> None:
        self._push, self._now_ns = push, now_ns
        self._clock = RemoteClock()
        self.received = self.dropped = self.refused = 0

    async def follow(self, track: MediaStreamTrack) -> None:
        """Push the frames of `track` until it ends."""
        busy: asyncio.Task[None] | None = None
        waiting: tuple[av.VideoFrame, int] | None = None
        reading = asyncio.ensure_future(track.recv())
        try:
            while True:
                tasks = {reading, busy} if busy else {reading}
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    stamped = self.stamped(cast(av.VideoFrame, reading.result()))
                    reading = asyncio.ensure_future(track.recv())
                    if stamped:
                        self.dropped += waiting is not None
                        waiting = stamped
                if busy and busy.done():
                    busy.result()
                    busy = None
                if waiting and not busy:
                    busy = asyncio.ensure_future(asyncio.to_thread(self.convert, *waiting))
                    waiting = None
        except MediaStreamError:
            return
        finally:
            reading.cancel()

    def stamped(self, frame: av.VideoFrame) -> tuple[av.VideoFrame, int] | None:
        """`frame` and its time on the avatar's clock; None, and counted, if it is unusable."""
        self.received += 1
        if frame.width * frame.height > MAX_CAMERA_PIXELS or frame.pts is None:
            self.refused += 1
            return None
        return frame, self._clock.stamp_ns(_media_ns(frame), self._now_ns())

    def convert(self, frame: av.VideoFrame, stamp_ns: int) -> None:
        """Push `frame` as RGB, scaled down."""
        scale = min(1.0, MAX_CAMERA_SIDE_PX / max(frame.width, frame.height))
        width, height = (max(2, round(scale * side)) for side in (frame.width, frame.height))
        try:
            pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
        except (ValueError, FFmpegError):  # a pixel format that cannot be converted
            self.refused += 1
            return
        self._push(VideoFrame(np.asarray(pixels, np.uint8), stamp_ns))


class Microphone:
    """Audio of the user."""

    def __init__(self, push: Callable[[AudioChunk], None], now_ns: Callable[[], int]) -> None:
        self._push, self._now_ns = push, now_ns
        self._clock = RemoteClock()
        self.received = self.refused = 0

    async def follow(self, track: MediaStreamTrack) -> None:
        """Push the audio of `track` as 16 kHz mono until it ends."""
        resampler, downmix = _resampler(), Downmix(SAMPLE_RATE_HZ, 1)
        while True:
            try:
                frame = cast(av.AudioFrame, await track.recv())
            except MediaStreamError:
                return
            self.received += 1
            stamp_ns = self._clock.stamp_ns(_media_ns(frame), self._now_ns())
            frame.pts = None  # else the resampler would fill gaps itself; stamps show them
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
                # not FFmpeg's own downmix, which may be louder than full scale
                samples = downmix(channels)
                self._push(AudioChunk(samples, SAMPLE_RATE_HZ, stamp_ns))
                stamp_ns += round(len(samples) * 1e9 / SAMPLE_RATE_HZ)


def uploaded_image(data: bytes) -> NDArray[np.uint8]:
    """The image ``[H, W, 3]`` RGB in `data`; MediaError for another format or size."""
    image = decode_image(data, "image")
    height, width = image.shape[:2]
    if min(width, height) < MIN_SIDE_PX:
        raise MediaError(
            "image",
            expected=f"sides of at least {MIN_SIDE_PX} pixels",
            got=f"{width} x {height}",
            remedy="take a larger one",
        )
    return image


def uploaded_audio(data: bytes) -> NDArray[np.float32]:
    """The audio ``[n]``, 16 kHz, in `data`; MediaError where it is none, or too long."""
    return decode_audio(data, MAX_UPLOAD_AUDIO_S)


def _resampler() -> av.AudioResampler:
    """To 16 kHz; channels stay."""
    return av.AudioResampler(format="fltp", rate=SAMPLE_RATE_HZ)


def _media_ns(frame: av.VideoFrame | av.AudioFrame) -> int:
    """A frame's time on its stream's own clock."""
    return round((frame.pts or 0) * (frame.time_base or 0) * 1_000_000_000)
