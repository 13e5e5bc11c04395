"""Frames to tracks: one clock for image and audio, gaps are silent, old images give way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("aiortc")

from aiortc.codecs.opus import OpusEncoder
from aiortc.mediastreams import MediaStreamError

from avatar_forcing_ros.media import AvatarFrame, VideoFrame
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME
from avatar_forcing_ros.web.tracks import (
    MIX_KNEE,
    PACKET_SAMPLES,
    AvatarAudio,
    AvatarVideo,
    FrameNumbers,
    ViewVideo,
    mix,
    speaker_audio,
    stacked,
    viewer_audio,
)


def frame(loud: float = 0.0, *, drawn: bool = True) -> AvatarFrame:
    return AvatarFrame(
        stamp_ns=0,
        pixels=np.zeros((16, 16, 3), np.uint8) if drawn else None,
        audio=np.full(SAMPLES_PER_FRAME, loud, np.float32),
    )


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await test()

    asyncio.run(whole())


def test_numbers_keep_gaps_and_never_go_back() -> None:
    numbers = FrameNumbers()
    stamps = [100, 101, 104, 104.4, 90, 91, 1_000, 1_001]
    given = [numbers.next(round(s * FRAME_PERIOD_NS)) for s in stamps]
    assert given == [0, 1, 4, 5, 6, 7, 8, 9]


def test_image_and_audio_of_a_frame_have_one_time() -> None:
    async def check() -> None:
        image, audio = AvatarVideo(), AvatarAudio()
        for number in (3, 4):
            image.put(number, frame())
            audio.put(number, frame())
            shown, first, more = await image.recv(), await audio.recv(), await audio.recv()
            assert (
                shown.pts * shown.time_base == first.pts * first.time_base == Fraction(number, 25)
            )
            # 20 ms each: of a longer piece aiortc makes packets of one and the same time
            assert first.samples == more.samples == PACKET_SAMPLES
            assert more.pts == first.pts + PACKET_SAMPLES

    run(check)


def test_what_is_transparent_has_its_alpha_below_the_colours() -> None:
    async def check() -> None:
        video = AvatarVideo()
        image = np.zeros((16, 16, 4), np.uint8)
        image[:, 8:] = (200, 60, 30, 255)
        video.put(0, replace(frame(), pixels=image))
        shown = (await video.recv()).to_ndarray(format="rgb24")
        assert shown.shape == (32, 16, 3)
        assert (shown[:16] == image[..., :3]).all()
        assert (shown[16:] == image[..., 3:]).all()

    run(check)
    opaque = np.zeros((16, 16, 3), np.uint8)
    assert stacked(opaque) is opaque


def test_missing_frames_are_silence_of_their_length() -> None:
    async def check() -> None:
        audio = AvatarAudio()
        audio.put(10, frame(0.5))
        audio.put(13, frame(2.0))  # louder than there can be
        pieces = [await audio.recv() for _ in range(8)]
        assert [p.pts - pieces[0].pts for p in pieces] == [PACKET_SAMPLES * i for i in range(8)]
        samples = np.concatenate([piece.to_ndarray()[0] for piece in pieces[2:]])
        assert not samples[: 2 * SAMPLES_PER_FRAME].any()
        assert (samples[2 * SAMPLES_PER_FRAME :] == 32_767).all()

    run(check)


def test_every_packet_of_audio_has_a_time_of_its_own() -> None:
    """Of packets with one time a browser plays the first alone."""

    async def check() -> None:
        audio, encoder = AvatarAudio(), OpusEncoder()
        times = []
        for number in range(20):
            audio.put(number, frame(0.5))
            for _ in range(2):
                packets, time = encoder.encode(await audio.recv())
                assert len(packets) <= 1
                times += [time] * len(packets)
        assert len(times) >= 38  # the encoder's resampler may hold some back
        assert set(np.diff(times)) == {960}

    run(check)


def test_the_view_comes_fifteen_times_a_second_at_most() -> None:
    async def check() -> None:
        view, shown = ViewVideo(), []
        pixels = np.zeros((16, 16, 3), np.uint8)
        for at_ms in (0, 33, 66, 99, 133, 20_000, 5, 80):
            view.put(VideoFrame(pixels, at_ms * 1_000_000))
            coming = asyncio.ensure_future(view.recv())
            await asyncio.sleep(0)
            if coming.done():
                shown.append((at_ms, (await coming).pts))
            else:
                coming.cancel()
        assert [at_ms for at_ms, _ in shown] == [0, 66, 133, 20_000, 5, 80]
        steps = np.diff([pts for _, pts in shown])
        assert list(steps[:2]) == [5940, 6030]
        assert (steps > 0).all()
        view.stop()
        with pytest.raises(MediaStreamError):
            await view.recv()

    run(check)


def test_old_images_give_way_and_missing_ones_are_none() -> None:
    async def check() -> None:
        image = AvatarVideo()
        for number in range(5):
            image.put(number, frame(drawn=number != 4))
        assert image.dropped == 2
        assert [(await image.recv()).pts for _ in range(2)] == [2, 3]

    run(check)


def test_who_waits_is_told_of_the_end() -> None:
    async def check() -> None:
        image = AvatarVideo()
        waiting = asyncio.ensure_future(image.recv())
        await asyncio.sleep(0)
        image.stop()
        with pytest.raises(MediaStreamError):
            await waiting

    run(check)


def test_without_robot_audio_everybody_hears_the_avatar() -> None:
    one = frame(0.5)
    assert speaker_audio(one) is viewer_audio(one) is one.audio


def test_a_mix_keeps_what_is_quiet_and_compresses_what_is_loud() -> None:
    ramp = np.linspace(-1, 1, 2_001, dtype=np.float32)
    both = mix(ramp, ramp)
    quiet = np.abs(2 * ramp) <= MIX_KNEE
    assert np.array_equal(both[quiet], 2 * ramp[quiet])
    assert both.dtype == np.float32
    assert np.abs(both).max() <= 1.0
    steps = np.diff(both)
    assert (steps >= 0).all()
    assert steps.max() < 0.0021  # nowhere does it jump
