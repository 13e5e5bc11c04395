"""What to compute less of where a device is too slow: a ladder, climbed by measured time.

A late avatar must not build a queue. Before frames are left out there is something to save:
function evaluations first, which cost motion a little sharpness, then the size at which pictures
are computed. Each rung is tried for as long as it holds; better ones are tried again after a calm
time, and later and later where they did not hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from avatar_forcing_ros.timebase import FRAME_PERIOD_S

LEAST_EVALUATIONS = 4
TOO_MUCH = 0.85  # of the block's own duration; the rest is for everything around it
EASY = 0.6  # a rung that leaves so much time may stand above a better one that holds
JUDGED_BLOCKS = 5
CALM_BLOCKS = 100
LONGEST_CALM_BLOCKS = 3200


@dataclass(frozen=True)
class Effort:
    """One rung: function evaluations a block, and the side at which pictures are computed."""

    evaluations: int
    drawn_size_px: int


def ladder(evaluations: int, sizes_px: Sequence[int]) -> list[Effort]:
    """Rungs from the full effort down; `sizes_px` are those that the codec can draw at.

    Evaluations go down to half (4 at least), then the picture to half its side, then evaluations
    to 4.
    """
    full, half = max(sizes_px), max(sizes_px) // 2
    least = min(evaluations, LEAST_EVALUATIONS)
    middle = max(least, round(evaluations * 0.75))
    low = max(least, round(evaluations * 0.5))
    rungs = [Effort(n, full) for n in (evaluations, middle, low)]
    if half in sizes_px:
        rungs.append(Effort(low, half))
        full = half
    rungs.append(Effort(least, full))
    return list(dict.fromkeys(rungs))


class EffortControl:
    """Chooses the rung from what blocks took; no clock in here."""

    def __init__(self, rungs: Sequence[Effort]) -> None:
        self._rungs = rungs
        self._rung = 0
        self._recent: deque[float] = deque(maxlen=JUDGED_BLOCKS)  # time taken over time covered
        self._calm = 0
        self._patience = CALM_BLOCKS
        self._since_better = CALM_BLOCKS  # blocks since a better rung was tried

    @property
    def effort(self) -> Effort:
        """The rung that the next block is to be made at."""
        return self._rungs[self._rung]

    @property
    def reduced(self) -> bool:
        """Whether less than the full effort is made."""
        return self._rung > 0

    def after_block(self, took_s: float, frames: int) -> bool:
        """Judge a block of `frames` that took `took_s` in all; whether the rung has changed."""
        self._recent.append(took_s / (frames * FRAME_PERIOD_S))
        self._since_better += 1
        if len(self._recent) < JUDGED_BLOCKS:
            return False
        if self._since_better >= 2 * self._patience:  # whatever did not hold then, this one does
            self._patience = CALM_BLOCKS
        load = median(self._recent)
        self._calm = self._calm + 1 if load < EASY else 0
        if load > TOO_MUCH and self._rung + 1 < len(self._rungs):
            if self._since_better < self._patience:  # the better rung did not hold
                self._patience = min(2 * self._patience, LONGEST_CALM_BLOCKS)
            return self._step(+1)
        if self._rung and self._calm >= self._patience:
            self._since_better = 0
            return self._step(-1)
        return False

    def _step(self, by: int) -> bool:
        self._rung += by
        self._calm = 0
        self._recent.clear()
        return True
