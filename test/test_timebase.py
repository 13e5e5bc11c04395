"""Frames, samples and nanoseconds agree with each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from avatar_forcing_ros import timebase

FRAMES = st.integers(0, 10**9)


@given(FRAMES)
def test_a_frames_stamp_is_in_that_frame(frame: int) -> None:
    stamp = timebase.frame_stamp_ns(frame, start_ns=17)
    assert timebase.frame_at_ns(stamp, start_ns=17) == frame
    assert timebase.frame_at_ns(stamp + timebase.FRAME_PERIOD_NS - 1, start_ns=17) == frame
    assert timebase.frame_at_ns(stamp - 1, start_ns=17) == frame - 1


@given(st.integers(0, 10**12))
def test_samples_are_covered_by_just_enough_frames(samples: int) -> None:
    frames = timebase.samples_to_frames(samples)
    assert timebase.frames_to_samples(frames) >= samples
    assert timebase.frames_to_samples(frames - 1) < samples


def test_the_rates_belong_together() -> None:
    assert timebase.SAMPLES_PER_FRAME * timebase.FRAME_RATE_HZ == timebase.SAMPLE_RATE_HZ
    assert timebase.FRAME_PERIOD_NS * timebase.FRAME_RATE_HZ == 10**9
