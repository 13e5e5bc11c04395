"""Frames to tracks: one clock for picture and sound, gaps are silent, old pictures give way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("aiortc")

from aiortc.mediastreams import MediaStreamError

from avatar_forcing_ros.pipeline.live import LiveFrame
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME
from avatar_forcing_ros.web.tracks import AvatarPicture, AvatarSound, FrameNumbers

NONE = np.zeros(0, np.float32)


def frame(loud: float = 0.0, *, drawn: bool = True) -> LiveFrame:
    return LiveFrame(
        stamp_ns=0,
        block_index=0,
        frame_in_block=0,
        latent=NONE,
        coefficients=NONE,
        pixels=np.zeros((16, 16, 3), np.uint8) if drawn else None,
        audio=np.full(SAMPLES_PER_FRAME, loud, np.float32),
        speech_level=0.0,
        speaking=False,
    )


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await test()

    asyncio.run(whole())


def test_numbers_keep_gaps_and_never_go_back() -> None:
    numbers = FrameNumbers()
    stamps = [100, 101, 104, 104.4, 90, 91, 1_000, 1_001]
    told = [numbers.of(round(s * FRAME_PERIOD_NS)) for s in stamps]
    assert told == [0, 1, 4, 5, 6, 7, 8, 9]


def test_picture_and_sound_of_a_frame_have_one_time() -> None:
    async def check() -> None:
        picture, sound = AvatarPicture(), AvatarSound()
        for number in (3, 4):
            picture.put(number, frame())
            sound.put(number, frame())
            seen, heard = await picture.recv(), await sound.recv()
            assert seen.pts * seen.time_base == heard.pts * heard.time_base == Fraction(number, 25)
            assert heard.samples == SAMPLES_PER_FRAME

    run(check)


def test_missing_frames_are_silence_of_their_length() -> None:
    async def check() -> None:
        sound = AvatarSound()
        sound.put(10, frame(0.5))
        sound.put(13, frame(2.0))  # louder than there can be
        first, second = await sound.recv(), await sound.recv()
        assert second.pts == first.pts + first.samples
        samples = second.to_ndarray()[0]
        assert len(samples) == 3 * SAMPLES_PER_FRAME
        assert not samples[: 2 * SAMPLES_PER_FRAME].any()
        assert (samples[2 * SAMPLES_PER_FRAME :] == 32_767).all()

    run(check)


def test_old_pictures_give_way_and_missing_ones_are_none() -> None:
    async def check() -> None:
        picture = AvatarPicture()
        for number in range(5):
            picture.put(number, frame(drawn=number != 4))
        assert picture.dropped == 2
        assert [(await picture.recv()).pts for _ in range(2)] == [2, 3]

    run(check)


def test_who_waits_is_told_of_the_end() -> None:
    async def check() -> None:
        picture = AvatarPicture()
        waiting = asyncio.ensure_future(picture.recv())
        await asyncio.sleep(0)
        picture.stop()
        with pytest.raises(MediaStreamError):
            await waiting

    run(check)
