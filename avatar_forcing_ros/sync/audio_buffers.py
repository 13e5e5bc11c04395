"""Sound that waits to be played: pieces laid at their place in media time, in order.

Places are counted in samples of 16 kHz since media time zero. Between pieces there may be holes.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

QUIET_PEAK = 0.003  # -50 dB of full scale: a pause between words, not the tail of one
_LONGEST_SAMPLES = 10 * SAMPLE_RATE_HZ
# pieces that begin this close to the end of the one before join on: stamps are not that exact
_JOIN_SAMPLES = SAMPLE_RATE_HZ // 100


class SoundQueue:
    """Sound of one stream, at most 10 s of it."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, NDArray[np.float32]]] = deque()
        self.end: int | None = None  # just after the newest sample; None before the first

    @property
    def begin(self) -> int | None:
        """Place of the oldest sample that is left."""
        return self._pieces[0][0] if self._pieces else None

    def place(self, start: int) -> int:
        """Where a piece stamped `start` belongs: at the end, if it is meant to join on."""
        near = self.end is not None and abs(start - self.end) <= _JOIN_SAMPLES
        return self.end if near and self.end is not None else start

    def push(self, start: int, samples: NDArray[np.float32]) -> int:
        """Lay `samples` ``[n]`` at `start`; returns how many were known already or too many."""
        known = 0 if self.end is None else min(len(samples), max(0, self.end - start))
        start, fresh = start + known, samples[known:]
        begin = start if self.begin is None else self.begin
        fresh = fresh[: max(0, _LONGEST_SAMPLES - (start - begin))]
        if len(fresh):
            self._pieces.append((start, fresh))
            self.end = start + len(fresh)
        return len(samples) - len(fresh)

    def read(self, start: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """`count` samples from `start`, and where there is sound; the rest is silence."""
        samples, there = np.zeros(count, np.float32), np.zeros(count, np.bool_)
        for at, piece in self._pieces:
            low, high = max(at, start), min(at + len(piece), start + count)
            if low < high:
                samples[low - start : high - start] = piece[low - at : high - at]
                there[low - start : high - start] = True
        return samples, there

    def forget(self, before: int) -> None:
        """Let go of the pieces that end at or before this place."""
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) <= before:
            self._pieces.popleft()

    def quiet_samples(self, start: int, limit: int) -> int:
        """How long nothing is heard from `start` on, up to `limit` and to the newest sample."""
        if self.end is None or start >= self.end:
            return 0
        samples, _ = self.read(start, min(limit, self.end - start))
        loud = np.flatnonzero(np.abs(samples) > QUIET_PEAK)
        return int(loud[0]) if len(loud) else len(samples)
