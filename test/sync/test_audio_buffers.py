"""What the robot hears, cut to frames: gaps, jitter, stalls, clocks that drift apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.sync.robot_sound import LONGEST, MOST_WAITING, ROUND_FRAMES, RobotSound
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME


def counting(first: int, count: int) -> NDArray[np.float32]:
    """Samples that tell their number, from 1."""
    return np.arange(first, first + count, dtype=np.float32) + 1


def heard_of(piece: int, frames: int, *, fast: int = 0) -> tuple[RobotSound, list[int]]:
    """Play pieces in time with frames; how many samples each frame was late for.

    The microphone counts `fast` samples more in each frame than there are.
    """
    sound, came, late = RobotSound(), 0, []
    for number in range(1, frames + 1):
        now = number * (SAMPLES_PER_FRAME + fast)
        while came + piece <= now:
            sound.put(counting(came, piece))
            came += piece
        frame = sound.take()
        if frame.any():
            late.append(now - int(frame.max()))
    return sound, late


def test_pieces_are_cut_to_frames_in_order() -> None:
    sound = RobotSound()
    sound.put(counting(0, 1_000))
    sound.put(counting(1_000, 300))
    out = np.concatenate([sound.take() for _ in range(3)])
    assert np.array_equal(out[:1_300], counting(0, 1_300))
    assert not out[1_300:].any()
    assert (sound.missing_samples, sound.dropped_samples) == (620, 0)


@pytest.mark.parametrize("piece", [1, 160, 320, 512, 640, 1_024, 3_200, 8_000])
def test_pieces_of_any_length_are_heard_whole(piece: int) -> None:
    sound, late = heard_of(piece, 100)
    assert sound.dropped_samples == 0
    assert sound.missing_samples < piece + SAMPLES_PER_FRAME  # until enough waits, then no more
    assert max(late) < piece + SAMPLES_PER_FRAME


@pytest.mark.parametrize("fast", [-3, 3])
def test_a_clock_that_drifts_adds_no_delay(fast: int) -> None:
    """Half a percent, a hundred times what clocks do."""
    sound, late = heard_of(512, 4 * ROUND_FRAMES, fast=fast)
    assert max(late) < MOST_WAITING + 512 + SAMPLES_PER_FRAME
    lost = sound.dropped_samples if fast > 0 else sound.missing_samples
    assert abs(lost - 3 * 4 * ROUND_FRAMES) < MOST_WAITING


def test_what_comes_late_in_a_heap_is_dropped_but_for_the_newest() -> None:
    sound = RobotSound()
    for number in range(20):
        sound.put(counting(number * 320, 320))
    assert sound.dropped_samples == 20 * 320 - 320 - MOST_WAITING
    assert sound.take()[0] == sound.dropped_samples + 1
    sound.put(counting(0, 10 * LONGEST))
    assert len(sound._waiting) == LONGEST


def test_delay_that_a_stall_of_the_frames_left_goes_away_again() -> None:
    sound = RobotSound()
    sound.put(np.ones(MOST_WAITING, np.float32))
    left = []
    for _ in range(ROUND_FRAMES + 1):
        sound.put(np.ones(SAMPLES_PER_FRAME, np.float32))
        sound.take()
        left.append(len(sound._waiting))
    assert (left[-3], left[-1]) == (MOST_WAITING, 160)
    assert sound.dropped_samples == MOST_WAITING - 160
    assert sound.missing_samples == 0


def test_numbers_that_are_none_are_silence_and_the_past_can_be_forgotten() -> None:
    sound = RobotSound()
    sound.put(np.array([np.nan, 0.5, -np.inf], np.float32))
    assert list(sound.take()[:3]) == [0.0, 0.5, 0.0]
    sound.put(np.ones(700, np.float32))
    sound.clear()
    assert not sound.take().any()
