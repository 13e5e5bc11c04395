"""Audio, 16 kHz, that waits to be played or to be put into frames; and what is done to samples."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

Samples = NDArray[np.float32]

QUIET_PEAK = 0.003  # -50 dB of full scale: a pause between words, not the tail of one
MAX_QUEUE_SAMPLES = 10 * SAMPLE_RATE_HZ
# pieces that begin this close to the end of the one before join on: stamps are not that exact
JOIN_SAMPLES = SAMPLE_RATE_HZ // 100
SILENCE = np.zeros(0, np.float32)
EDGE_SAMPLES = SAMPLE_RATE_HZ * 2 // 1000
BEFORE_ALL = -(1 << 62)  # a place before any sample

MAX_LEFT_SAMPLES = SAMPLE_RATE_HZ * 120 // 1000  # that may be left when a piece comes
MAX_JITTER_SAMPLES = SAMPLE_RATE_HZ  # that may wait with it
WINDOW_FRAMES = 10 * FRAME_RATE_HZ  # what was left over through all of them is not needed
SPARE_SAMPLES = SAMPLE_RATE_HZ * 10 // 1000  # but for these


def sanitized(samples: Samples) -> tuple[Samples, int]:
    """`samples` with silence for what is not finite, and how many those were."""
    finite = np.isfinite(samples)
    if finite.all():
        return samples, 0
    return np.where(finite, samples, np.float32(0)), int(np.count_nonzero(~finite))


def fitted(samples: Samples, count: int) -> Samples:
    """A copy of `samples` ``[n]``, cut off or filled up with silence to ``[count]``."""
    out = np.zeros(count, np.float32)
    out[: len(samples)] = samples[:count]
    return out


def stretched(samples: Samples, count: int) -> Samples:
    """`samples` ``[n]`` in the time of `count`, by linear interpolation."""
    at = np.arange(count) * (len(samples) / count)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


class AudioQueue:
    """Audio of one stream at its place in media time, at most 10 s of it.

    Places are counted in samples since media time zero. Between pieces there may be holes.
    """

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, Samples]] = deque()
        self.end = BEFORE_ALL  # just after the newest sample

    @property
    def begin(self) -> int | None:
        """Place of the oldest sample that is left."""
        return self._pieces[0][0] if self._pieces else None

    @property
    def waiting_samples(self) -> int:
        """Audio that is kept."""
        return sum(len(piece) for _, piece in self._pieces)

    def place(self, start: int) -> int:
        """Where a piece stamped `start` belongs: at the end, if it is meant to join on."""
        return self.end if abs(start - self.end) <= JOIN_SAMPLES else start

    def push(self, start: int, samples: Samples) -> int:
        """Put `samples` ``[n]`` at `start`; how many were known already or too many."""
        known = min(len(samples), max(0, self.end - start))
        start, fresh = start + known, samples[known:]
        begin = start if self.begin is None else self.begin
        fresh = fresh[: max(0, MAX_QUEUE_SAMPLES - (start - begin))]
        if len(fresh):
            self._pieces.append((start, fresh))
            self.end = start + len(fresh)
        return len(samples) - len(fresh)

    def read(self, start: int, count: int) -> tuple[Samples, NDArray[np.bool_]]:
        """`count` samples from `start`, and where there is audio; the rest is silence."""
        samples, present = np.zeros(count, np.float32), np.zeros(count, np.bool_)
        for at, piece in self._pieces:
            low, high = max(at, start), min(at + len(piece), start + count)
            if low < high:
                samples[low - start : high - start] = piece[low - at : high - at]
                present[low - start : high - start] = True
        return samples, present

    def forget(self, before: int) -> None:
        """Let go of the pieces that end at or before this place."""
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) <= before:
            self._pieces.popleft()

    def quiet_samples(self, start: int, limit: int) -> int:
        """How long it is quiet from `start` on, up to `limit` and to the newest sample."""
        samples, _ = self.read(start, max(0, min(limit, self.end - start)))
        loud = np.flatnonzero(np.abs(samples) > QUIET_PEAK)
        return int(loud[0]) if len(loud) else len(samples)


class EdgeFader:
    """Ramps of 2 ms where audio stops, or goes on after a hole: a step would click."""

    def __init__(self) -> None:
        self._last = 0.0
        self._was_present: bool | None = None  # None: nothing was played yet

    def fade(self, samples: Samples, present: NDArray[np.bool_]) -> Samples:
        """The next `samples` ``[n]`` of the stream; `present` says where there is audio."""
        if not len(samples):
            return samples
        first = present[0] if self._was_present is None else self._was_present
        changes = np.flatnonzero(np.diff(np.concatenate(([first], present)))).tolist()
        faded = samples.copy() if changes else samples
        for at in changes:
            edge = min(EDGE_SAMPLES, len(samples) - at)
            ramp = np.arange(1, edge + 1, dtype=np.float32) / (EDGE_SAMPLES + 1)
            if not present[at]:
                before = samples[at - 1] if at else self._last
                faded[at : at + edge] += np.float32(before) * (1 - ramp)
            elif self._was_present is not None:
                faded[at : at + edge] *= ramp
            self._was_present = bool(present[at])
        if present.any() or self._was_present is not None:
            self._was_present = bool(present[-1])
        self._last = float(samples[-1])
        return faded


class JitterBuffer:
    """A live stream's pieces of any length, cut to frames of 40 ms.

    What is missing is silence, so that what waits grows to what the pieces' jitter needs; what is
    more than that is dropped, the oldest first. Two clocks that drift apart cost a few samples now
    and then, and never delay. `missing_samples` were silence, `dropped_samples` were never played.
    """

    def __init__(self) -> None:
        self.missing_samples = self.dropped_samples = 0
        self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting = SILENCE
        self._frames, self._min_left = 0, MAX_JITTER_SAMPLES

    @property
    def waiting_samples(self) -> int:
        """Audio that has come and is not taken yet."""
        return len(self._waiting)

    def push(self, samples: Samples) -> None:
        """Add a piece ``[n]``; what is not finite becomes silence."""
        self._keep(MAX_LEFT_SAMPLES)
        self._waiting = np.concatenate((self._waiting, sanitized(samples)[0]))
        self._keep(MAX_JITTER_SAMPLES)

    def take(self) -> Samples:
        """The next frame's audio ``[640]``."""
        taken = fitted(self._waiting, SAMPLES_PER_FRAME)
        self.missing_samples += max(0, SAMPLES_PER_FRAME - len(self._waiting))
        self._waiting = self._waiting[SAMPLES_PER_FRAME:]
        self._frames += 1
        self._min_left = min(self._min_left, len(self._waiting))
        if self._frames == WINDOW_FRAMES:
            self._keep(len(self._waiting) - max(0, self._min_left - SPARE_SAMPLES))
            self._frames, self._min_left = 0, MAX_JITTER_SAMPLES
        return taken

    def _keep(self, count: int) -> None:
        """Drop the oldest of what is more than `count` samples."""
        over = max(0, len(self._waiting) - count)
        self.dropped_samples += over
        self._waiting = self._waiting[over:]
