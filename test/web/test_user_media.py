"""Camera and microphone: stamps on one clock, limits on size, the newest frame wins."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("aiortc")

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.web.user_media import Camera, Microphone


class Given(MediaStreamTrack):
    """A track of given frames; `between` is waited for before each."""

    def __init__(self, kind: str, frames: Sequence[Any], *before: asyncio.Event) -> None:
        super().__init__()
        self.kind, self._frames, self._before = kind, list(frames), list(before)

    async def recv(self) -> Any:
        if self._before:
            await self._before.pop(0).wait()
        if not self._frames:
            raise MediaStreamError
        return self._frames.pop(0)


def image(width: int, height: int, pts: int | None = 0) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


def test_images_are_made_small_stamped_and_refused_where_huge() -> None:
    came = threading.Event()
    frames_out: list[VideoFrame] = []

    def put(frame: VideoFrame) -> None:
        frames_out.append(frame)
        came.set()

    async def follow() -> Camera:
        last = asyncio.Event()
        frames = [image(4_000, 2_000), image(8, 8, None), image(1_280, 720, 9_000)]
        ready = asyncio.Event()
        ready.set()
        camera = Camera(put, lambda: 1_000_000_000_000)
        track = Given("video", frames, ready, ready, ready, last)
        following = asyncio.ensure_future(camera.follow(track))
        assert await asyncio.to_thread(came.wait, 20)
        last.set()
        await following
        return camera

    camera = asyncio.run(follow())
    assert (camera.received, camera.refused, camera.dropped) == (3, 2, 0)
    assert [frame.pixels.shape for frame in frames_out] == [(360, 640, 3)]
    assert frames_out[0].stamp_ns == 1_000_000_000_000


def test_a_camera_that_changes_its_size_with_every_image_is_followed() -> None:
    sizes = [(64, 48), (1, 1), (2, 1_000), (7_680, 4_320), (16, 16_000), (333, 17), (640, 640)]
    frames_out: list[VideoFrame] = []
    camera = Camera(frames_out.append, lambda: 10**12)
    for width, height in sizes:
        stamped = camera.stamped(image(width, height))
        if stamped:
            camera.convert(*stamped)
    assert (camera.received, camera.refused) == (len(sizes), 1)
    shapes = [frame.pixels.shape[:2] for frame in frames_out]
    assert shapes == [(48, 64), (2, 2), (640, 2), (640, 2), (17, 333), (640, 640)]


def test_while_one_is_made_ready_the_newest_waits() -> None:
    hold, both = threading.Event(), threading.Event()
    stamps: list[int] = []

    def put(frame: VideoFrame) -> None:
        assert hold.wait(20)
        stamps.append(frame.stamp_ns)
        if len(stamps) == 2:
            both.set()

    async def follow() -> Camera:
        end, ready = asyncio.Event(), asyncio.Event()
        ready.set()
        camera = Camera(put, lambda: 10**12)
        frames = [image(64, 48, pts) for pts in (0, 90, 180, 270)]
        following = asyncio.ensure_future(
            camera.follow(Given("video", frames, ready, ready, ready, ready, end))
        )
        while camera.received < 4:
            await asyncio.sleep(0)
        hold.set()
        assert await asyncio.to_thread(both.wait, 20)
        end.set()
        await following
        return camera

    camera = asyncio.run(follow())
    assert camera.dropped == 2
    assert len(stamps) == 2


def test_sound_of_any_kind_becomes_16_khz_mono() -> None:
    chunks: list[AudioChunk] = []
    frames = []
    tone = np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000)
    pcm = np.repeat((16_000 * tone).astype(np.int16), 2)
    for i in range(50):
        part = np.ascontiguousarray(pcm[None, i * 1_920 : (i + 1) * 1_920])
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, i * 960, Fraction(1, 48_000)
        frames.append(frame)
    arrivals = iter(10**12 + i * 20_000_000 + (i % 3) * 3_000_000 for i in range(50))
    microphone = Microphone(chunks.append, lambda: next(arrivals))
    asyncio.run(microphone.follow(Given("audio", frames)))
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert 15_900 <= len(samples) <= 16_000
    assert np.sqrt(np.mean(samples[1_000:] ** 2)) == pytest.approx(0.345, rel=0.02)
    assert chunks[0].rate_hz == 16_000
    ways = [chunk.stamp_ns - 10**12 for chunk in chunks]
    # jitter of the arrivals does not move stamps
    assert ways[:50] == [i * 20_000_000 for i in range(len(ways))][:50]


def test_sound_of_strange_forms_is_followed_or_counted() -> None:
    chunks: list[AudioChunk] = []
    frames = []
    for layout, rate_hz, count in (("5.1", 192_000, 100), ("mono", 1, 5), ("stereo", 8_000, 1)):
        channels = {"5.1": 6, "mono": 1, "stereo": 2}[layout]
        pcm = np.full((channels, count), 9e9, np.float32)
        frame = av.AudioFrame.from_ndarray(pcm, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, None, Fraction(1, 48_000)
        frames.append(frame)
    microphone = Microphone(chunks.append, lambda: 10**12)
    asyncio.run(microphone.follow(Given("audio", frames)))
    assert microphone.received == 3
    assert {chunk.rate_hz for chunk in chunks} <= {16_000}


def test_a_sender_that_changes_its_sound_is_followed() -> None:
    chunks: list[AudioChunk] = []
    frames = []
    for i, (layout, rate_hz) in enumerate((("stereo", 48_000), ("mono", 8_000), ("mono", 8_000))):
        pcm = np.full((1, rate_hz // 50 * (1 + (layout == "stereo"))), 8_192, np.int16)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, i * 160, Fraction(1, 8_000)
        frames.append(frame)
    microphone = Microphone(chunks.append, lambda: 10**12)
    asyncio.run(microphone.follow(Given("audio", frames)))
    assert (microphone.received, microphone.refused) == (3, 1)
    assert chunks[-1].stamp_ns == 10**12
    assert chunks[-1].samples[len(chunks[-1].samples) // 2] == pytest.approx(0.25, abs=0.01)


def test_a_microphone_whose_channels_cancel_each_other_out_is_heard() -> None:
    tone = (12_000 * np.sin(np.arange(48_000) * 0.05)).astype(np.int16)
    frames = []
    for i in range(50):
        part = np.stack((tone[i * 960 : (i + 1) * 960], -tone[i * 960 : (i + 1) * 960]), axis=1)
        frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, i * 960, Fraction(1, 48_000)
        frames.append(frame)
    chunks: list[AudioChunk] = []
    asyncio.run(Microphone(chunks.append, lambda: 0).follow(Given("audio", frames)))
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert np.abs(samples[4_000:]).max() > 0.3
