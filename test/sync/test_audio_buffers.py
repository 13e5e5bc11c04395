"""The jitter buffer: live audio cut to frames despite gaps, jitter, stalls and drifting clocks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.sync.audio_buffers import (
    MAX_JITTER_SAMPLES,
    MAX_LEFT_SAMPLES,
    WINDOW_FRAMES,
    JitterBuffer,
)
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME


def counting(first: int, count: int) -> NDArray[np.float32]:
    """Samples that hold their own number, from 1."""
    return np.arange(first, first + count, dtype=np.float32) + 1


def played_of(piece: int, frames: int, *, fast: int = 0) -> tuple[JitterBuffer, list[int]]:
    """Play pieces in time with frames; how many samples each frame was late for.

    The microphone counts `fast` samples more in each frame than there are.
    """
    buffer, came, late = JitterBuffer(), 0, []
    for number in range(1, frames + 1):
        now = number * (SAMPLES_PER_FRAME + fast)
        while came + piece <= now:
            buffer.push(counting(came, piece))
            came += piece
        frame = buffer.take()
        if frame.any():
            late.append(now - int(frame.max()))
    return buffer, late


def test_pieces_are_cut_to_frames_in_order() -> None:
    buffer = JitterBuffer()
    buffer.push(counting(0, 1_000))
    buffer.push(counting(1_000, 300))
    out = np.concatenate([buffer.take() for _ in range(3)])
    assert np.array_equal(out[:1_300], counting(0, 1_300))
    assert not out[1_300:].any()
    assert (buffer.missing_samples, buffer.dropped_samples) == (620, 0)


@pytest.mark.parametrize("piece", [1, 160, 320, 512, 640, 1_024, 3_200, 8_000])
def test_pieces_of_any_length_are_played_whole(piece: int) -> None:
    buffer, late = played_of(piece, 100)
    assert buffer.dropped_samples == 0
    assert buffer.missing_samples < piece + SAMPLES_PER_FRAME  # until enough waits, then no more
    assert max(late) < piece + SAMPLES_PER_FRAME


@pytest.mark.parametrize("fast", [-3, 3])
def test_a_clock_that_drifts_adds_no_delay(fast: int) -> None:
    """Half a percent, a hundred times what clocks do."""
    buffer, late = played_of(512, 4 * WINDOW_FRAMES, fast=fast)
    assert max(late) < MAX_LEFT_SAMPLES + 512 + SAMPLES_PER_FRAME
    lost = buffer.dropped_samples if fast > 0 else buffer.missing_samples
    assert abs(lost - 3 * 4 * WINDOW_FRAMES) < MAX_LEFT_SAMPLES


def test_what_comes_late_in_a_heap_is_dropped_but_for_the_newest() -> None:
    buffer = JitterBuffer()
    for number in range(20):
        buffer.push(counting(number * 320, 320))
    assert buffer.dropped_samples == 20 * 320 - 320 - MAX_LEFT_SAMPLES
    assert buffer.take()[0] == buffer.dropped_samples + 1
    buffer.push(counting(0, 10 * MAX_JITTER_SAMPLES))
    assert buffer.waiting_samples == MAX_JITTER_SAMPLES


def test_delay_that_a_stall_of_the_frames_left_goes_away_again() -> None:
    buffer = JitterBuffer()
    buffer.push(np.ones(MAX_LEFT_SAMPLES, np.float32))
    left = []
    for _ in range(WINDOW_FRAMES + 1):
        buffer.push(np.ones(SAMPLES_PER_FRAME, np.float32))
        buffer.take()
        left.append(buffer.waiting_samples)
    assert (left[-3], left[-1]) == (MAX_LEFT_SAMPLES, 160)
    assert buffer.dropped_samples == MAX_LEFT_SAMPLES - 160
    assert buffer.missing_samples == 0


def test_samples_that_are_not_finite_are_silence_and_the_past_can_be_forgotten() -> None:
    buffer = JitterBuffer()
    buffer.push(np.array([np.nan, 0.5, -np.inf], np.float32))
    assert list(buffer.take()[:3]) == [0.0, 0.5, 0.0]
    buffer.push(np.ones(700, np.float32))
    buffer.clear()
    assert not buffer.take().any()
