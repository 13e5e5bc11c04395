"""Stamped inputs to gapless tracks. No wall clock in here: media time alone decides.

A track begins at media time zero. What comes late, twice or not at all is counted, never guessed:
missing sound is silence, a missing picture is the last face seen.
"""

from __future__ import annotations

import bisect

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.timebase import (
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    frame_stamp_ns,
)

LONGEST_GAP_SAMPLES = 60 * SAMPLE_RATE_HZ
JITTER_SAMPLES = SAMPLE_RATE_HZ // 50  # stamps closer than 20 ms to the expected one join on


class SoundTrack:
    """One sound stream, 16 kHz mono, taken frame by frame."""

    def __init__(self) -> None:
        self._buffer = np.zeros(0, np.float32)  # sound from `_taken` on
        self._taken = 0  # samples handed out so far
        self.filled_samples = 0
        self.dropped_samples = 0
        self.mended_samples = 0

    @property
    def end_sample(self) -> int:
        """Position just after the newest sample."""
        return self._taken + len(self._buffer)

    def has(self, frame: int) -> bool:
        """Whether sound up to the end of `frame` has come."""
        return self.end_sample >= (frame + 1) * SAMPLES_PER_FRAME

    def push(self, chunk: AudioChunk) -> None:
        """Lay `chunk` at its stamp: gaps become silence, what is too late is dropped.

        Samples that are not finite become silence. Raises ValueError for another rate than 16 kHz
        and for a stamp that leaves a gap of more than a minute.
        """
        if chunk.rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"expected {SAMPLE_RATE_HZ} Hz, got {chunk.rate_hz} Hz")
        samples = np.asarray(chunk.samples, np.float32)
        broken = ~np.isfinite(samples)
        if broken.any():
            self.mended_samples += int(broken.sum())
            samples = np.where(broken, np.float32(0), samples)
        start = round(chunk.stamp_ns * SAMPLE_RATE_HZ / 1e9)
        if abs(start - self.end_sample) <= JITTER_SAMPLES:
            start = self.end_sample
        if start < self.end_sample:
            late = min(len(samples), self.end_sample - start)
            self.dropped_samples += late
            samples, start = samples[late:], start + late
        if start - self.end_sample > LONGEST_GAP_SAMPLES:
            raise ValueError(
                f"sound stamped {(start - self.end_sample) / SAMPLE_RATE_HZ:.0f} s after what came"
            )
        if len(samples):
            gap = start - self.end_sample
            self.filled_samples += gap
            self._buffer = np.concatenate((self._buffer, np.zeros(gap, np.float32), samples))

    def take(self, frames: int) -> NDArray[np.float32]:
        """The next `frames` of sound ``[640 frames]``; silence, counted, where none has come."""
        count = frames * SAMPLES_PER_FRAME
        out, self._buffer = self._buffer[:count], self._buffer[count:]
        self._taken += count
        missing = count - len(out)
        self.filled_samples += missing
        return np.concatenate((out, np.zeros(missing, np.float32)))


class MotionTrack:
    """The user's motion, taken frame by frame: the newest value not after the frame's beginning.

    So a frame is settled as soon as a value of that time or later has come, in order.
    """

    def __init__(self, width: int) -> None:
        self._stamps: list[int] = []
        self._values: list[NDArray[np.float32]] = []
        self._last = np.zeros(width, np.float32)
        self._taken = 0
        self._last_ns: int | None = None  # stamp of the value given last
        self.filled_frames = 0
        self.dropped_values = 0

    def push(self, values: NDArray[np.float32], stamp_ns: int) -> None:
        """Note the motion ``[D]`` at `stamp_ns`, in any order; one that is too late is dropped."""
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            self.dropped_values += 1
            return
        at = bisect.bisect_right(self._stamps, stamp_ns)
        self._stamps.insert(at, stamp_ns)
        self._values.insert(at, values)

    def has(self, frame: int) -> bool:
        """Whether a value at or after the beginning of `frame` has come."""
        return bool(self._stamps) and self._stamps[-1] >= frame_stamp_ns(frame)

    def take(self, frames: int) -> NDArray[np.float32]:
        """The next `frames` values ``[frames, D]``; the last one, counted, where none is new."""
        rows = []
        for _ in range(frames):
            due = bisect.bisect_right(self._stamps, frame_stamp_ns(self._taken))
            if due:
                self._last, self._last_ns = self._values[due - 1], self._stamps[due - 1]
                del self._stamps[:due], self._values[:due]
            else:
                self.filled_frames += 1
            rows.append(self._last)
            self._taken += 1
        return np.stack(rows)
