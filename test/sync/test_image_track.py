"""Image and motion tracks: which frame gets what, what is waited for, what is kept meanwhile."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.sync.image_track import (
    MAX_IMAGES,
    MAX_WAITING,
    ImageTrack,
    MotionTrack,
)
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

RATE = 16_000


def test_motion_is_that_of_the_frames_own_period() -> None:
    track = MotionTrack(1)
    for stamp_frames, value in ((0.0, 1.0), (2.5, 3.0), (1.2, 2.0)):  # out of order
        track.push(np.array([value], np.float32), round(stamp_frames * FRAME_PERIOD_NS))
    assert track.has(2)
    assert not track.has(3)
    assert track.take(4)[:, 0].tolist() == [1.0, 2.0, 3.0, 3.0]
    assert track.filled_frames == 1
    track.push(np.array([9.0], np.float32), 2 * FRAME_PERIOD_NS)  # older than what was given
    assert track.dropped_frames == 1
    assert track.take(1)[0, 0] == 3.0


@pytest.mark.parametrize("rate_hz", [10, 25, 30, 60])
def test_motion_is_the_same_live_and_at_once(rate_hz: int) -> None:
    """Taking each frame as soon as it is complete gives what taking all at the end gives."""
    stamps = [round(i * 1e9 / rate_hz) for i in range(3 * rate_hz)]
    at_once, live = MotionTrack(1), MotionTrack(1)
    for i, stamp in enumerate(stamps):
        at_once.push(np.array([i], np.float32), stamp)
    given = []
    for i, stamp in enumerate(stamps):
        live.push(np.array([i], np.float32), stamp)
        while live.has(len(given)):
            given.append(live.take(1)[0])
    assert np.array_equal(np.stack(given), at_once.take(len(given)))
    assert len(given) > 70


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_values_that_are_no_motion_are_refused(value: float) -> None:
    track = MotionTrack(2)
    with pytest.raises(ValueError, match="user motion: expected finite values within"):
        track.push(np.array([0.0, value], np.float32), 0)
    assert not track.started


def test_no_motion_is_neutral_and_no_loss() -> None:
    track = MotionTrack(3)
    assert not track.take(2).any()
    assert track.filled_frames == 0
    assert not track.started


def at_rate(track: ImageTrack, rate_hz: float, first: int, last: int, *lost: int) -> None:
    """Push the images `first` to `last` of a camera, but for those that are `lost`."""
    for k in range(first, last + 1):
        if k not in lost:
            stamp_ns = round(k * 1e9 / rate_hz)
            track.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), stamp_ns))


@pytest.mark.parametrize("rate_hz", [15, 25, 30, 60])
def test_what_a_live_camera_has_left_out_is_not_waited_for(rate_hz: int) -> None:
    """What comes later was taken later: nothing is on its way any more."""
    track = ImageTrack()
    at_rate(track, rate_hz, 0, 2 * rate_hz - 1)
    for frame in range(48):
        assert track.has(frame)
        track.take(1)
    missing = 2 * rate_hz + 2
    at_rate(track, rate_hz, 2 * rate_hz, 3 * rate_hz, missing)
    assert track.has(72)


@pytest.mark.parametrize(
    ("rate_hz", "newest", "complete"), [(25, 53, False), (25, 54, True), (12.5, 27, True),
                                        (12.5, 26, False), (5, 10, False), (5, 11, True)]
)  # fmt: skip
def test_a_slow_camera_is_not_waited_for_before_its_next_image_can_come(
    rate_hz: float, newest: int, complete: bool
) -> None:
    """The block asks for frame 54, which ends at 2.2 s."""
    track = ImageTrack()
    at_rate(track, rate_hz, 0, newest)
    track.take(50)
    assert track.has(54) == complete


@given(
    st.sets(st.integers(0, 59), max_size=20),
    st.lists(st.integers(0, 150), min_size=60, max_size=60),
    st.integers(1, 6),
)
def test_a_replay_loses_what_was_lost_and_no_more(
    lost: set[int], late_ms: list[int], block: int
) -> None:
    """Whenever it is asked: images come late and out of order, and blocks as soon as they can."""
    images, motion = ImageTrack(lossless=True), MotionTrack(1, lossless=True)
    arrivals = sorted((40 * k + late_ms[k], k) for k in range(60) if k not in lost)
    taken = begun = 0
    for come_ms, k in arrivals:
        while 40 * (taken + block) + 150 < come_ms or images.has(taken + block - 1):
            images.take(block)
            motion.take(block)
            taken += block
        begun = begun if images.started else taken  # what was taken before is no loss
        images.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), k * FRAME_PERIOD_NS))
        motion.push(np.zeros(1, np.float32), k * FRAME_PERIOD_NS)
        assert images.has(taken + block - 1) == motion.has(taken + block - 1)
    assert images.dropped_frames == motion.dropped_frames == 0
    missed = {k for k in lost if begun <= k < taken}
    assert images.filled_frames == motion.filled_frames == len(missed)


def test_images_that_wait_are_bounded() -> None:
    track = ImageTrack()
    for k in range(200):
        track.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), k * FRAME_PERIOD_NS))
    assert track.dropped_frames == 200 - MAX_IMAGES


def test_motion_that_waits_is_bounded() -> None:
    track = MotionTrack(1)
    for k in range(MAX_WAITING + 5):
        track.push(np.zeros(1, np.float32), k * FRAME_PERIOD_NS)
    assert track.dropped_frames == 5


@given(
    st.lists(st.integers(0, 1_000), min_size=1, max_size=80, unique=True),
    st.lists(st.integers(1, 6), min_size=4, max_size=10),
    st.randoms(use_true_random=False),
)
def test_images_that_are_not_kept_are_those_that_no_frame_gets(
    stamps_ms: list[int], blocks: list[int], random: Random
) -> None:
    """Whatever their stamps, and however they arrive between the blocks: motion is all kept."""
    images, motion, reach, taken = ImageTrack(lossless=True), MotionTrack(1), 0, 0
    waiting = [(ms + random.randrange(60), ms) for ms in stamps_ms]  # when it comes, its stamp
    for frames in blocks:
        reach += 40 * frames
        for come_ms, ms in sorted(waiting):
            if come_ms < reach:
                images.push(VideoFrame(np.full((1, 1, 3), ms % 251, np.uint8), ms * 1_000_000))
                motion.push(np.array([ms % 251], np.float32), ms * 1_000_000)
        waiting = [one for one in waiting if one[0] >= reach]
        first_ns = 40_000_000 * taken
        taken += frames
        got = [(p.stamp_ns, p.pixels[0, 0, 0]) for p in images.take(frames)]
        values = motion.take(frames)[:, 0]
        assert got == [
            (first_ns + 40_000_000 * i, values[i])
            for i, stamp_ns in enumerate(motion.taken_ns)
            if stamp_ns is not None
        ]
    assert images.filled_frames == motion.filled_frames


def test_a_fast_camera_whose_clock_is_ahead_loses_nothing() -> None:
    """60 images a second, stamped 1.5 s ahead: all of them wait, and none of use is dropped."""
    track, period_ns = ImageTrack(), 1_000_000_000 // 60
    got = 0
    for k in range(600):
        if k % 12 == 0 and k > 90:
            got += len(track.take(5))
        track.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), k * period_ns))
    assert got == 42 * 5
    assert track.dropped_frames == track.filled_frames == 0


def test_where_too_many_images_wait_the_newest_go() -> None:
    track = ImageTrack()
    for k in range(200):
        track.push(VideoFrame(np.full((1, 1, 3), k, np.uint8), k * FRAME_PERIOD_NS))
    kept = [int(p.pixels[0, 0, 0]) for p in track.take(200)]
    assert kept == list(range(MAX_IMAGES))
