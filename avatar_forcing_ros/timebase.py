"""Frames, samples and nanoseconds: the only home of 25 fps, 16 kHz and 640.

The clock counts video frames from the start of a conversation. Frame ``i`` covers the media time
``[i / 25, (i + 1) / 25)`` seconds and the audio samples ``[640 * i, 640 * (i + 1))``.
"""

from __future__ import annotations

FRAME_RATE_HZ = 25
SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FRAME_RATE_HZ  # 640
FRAME_PERIOD_NS = 1_000_000_000 // FRAME_RATE_HZ  # 40 ms
FRAME_PERIOD_S = 1.0 / FRAME_RATE_HZ


def frames_to_samples(frames: int) -> int:
    """Number of audio samples (16 kHz) that `frames` video frames last."""
    return frames * SAMPLES_PER_FRAME


def samples_to_frames(samples: int) -> int:
    """Number of video frames needed to cover `samples` audio samples (rounded up)."""
    return -(-samples // SAMPLES_PER_FRAME)


def frame_stamp_ns(frame: int, start_ns: int = 0) -> int:
    """Media time in nanoseconds at which `frame` begins; exact, no float in between."""
    return start_ns + frame * FRAME_PERIOD_NS


def frame_stamp_s(frame: int) -> float:
    """Media time in seconds at which `frame` begins, from the start of the conversation."""
    return frame / FRAME_RATE_HZ


def frame_at_ns(stamp_ns: int, start_ns: int = 0) -> int:
    """Index of the frame that covers the media time `stamp_ns` (floor, also for negatives)."""
    return (stamp_ns - start_ns) // FRAME_PERIOD_NS
