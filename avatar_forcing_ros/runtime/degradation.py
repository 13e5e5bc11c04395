"""What to compute less of where a device is too slow: quality levels, chosen by measured time.

A late avatar must not build a queue. Before frames are left out there is something to save:
function evaluations first, which cost motion a little sharpness, then the size at which images are
computed. A level is kept for as long as it holds; a better one is tried again after a calm time,
and later and later where it did not hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from avatar_forcing_ros.timebase import FRAME_PERIOD_S

MIN_NFE = 4
MAX_LOAD = 0.85  # of the block's own duration; the rest is for everything around it
LOW_LOAD = 0.6  # a level that leaves so much time may stand above a better one that holds
JUDGED_BLOCKS = 5
CALM_BLOCKS = 100
MAX_CALM_BLOCKS = 3200


@dataclass(frozen=True)
class QualityLevel:
    """Function evaluations a block, and the side at which images are computed."""

    nfe: int
    drawn_size_px: int


def quality_levels(nfe: int, sizes_px: Sequence[int]) -> list[QualityLevel]:
    """Levels from full quality down; `sizes_px` are those that the codec can draw at.

    Evaluations go down to half (4 at least), then the image to half its side, then evaluations
    to 4.
    """
    full, half = max(sizes_px), max(sizes_px) // 2
    lowest = min(nfe, MIN_NFE)
    middle = max(lowest, round(nfe * 0.75))
    low = max(lowest, round(nfe * 0.5))
    levels = [QualityLevel(n, full) for n in (nfe, middle, low)]
    if half in sizes_px:
        levels.append(QualityLevel(low, half))
        full = half
    levels.append(QualityLevel(lowest, full))
    return list(dict.fromkeys(levels))


class DegradationControl:
    """Chooses the level from what blocks took; no clock in here."""

    def __init__(self, levels: Sequence[QualityLevel]) -> None:
        self._levels = levels
        self._level = 0
        self._recent: deque[float] = deque(maxlen=JUDGED_BLOCKS)  # time taken over time covered
        self._calm = 0
        self._patience = CALM_BLOCKS
        self._since_better = CALM_BLOCKS  # blocks since a better level was tried

    @property
    def quality(self) -> QualityLevel:
        """The level that the next block is to be made at."""
        return self._levels[self._level]

    @property
    def reduced(self) -> bool:
        """Whether it is less than full quality."""
        return self._level > 0

    def after_block(self, took_s: float, frames: int) -> bool:
        """Judge a block of `frames` that took `took_s` in all; whether the level has changed."""
        self._recent.append(took_s / (frames * FRAME_PERIOD_S))
        self._since_better += 1
        if len(self._recent) < JUDGED_BLOCKS:
            return False
        if self._since_better >= 2 * self._patience:  # whatever did not hold then, this one does
            self._patience = CALM_BLOCKS
        load = median(self._recent)
        self._calm = self._calm + 1 if load < LOW_LOAD else 0
        if load > MAX_LOAD and self._level + 1 < len(self._levels):
            if self._since_better < self._patience:  # the better level did not hold
                self._patience = min(2 * self._patience, MAX_CALM_BLOCKS)
            return self._step(+1)
        if self._level and self._calm >= self._patience:
            self._since_better = 0
            return self._step(-1)
        return False

    def _step(self, by: int) -> bool:
        self._level += by
        self._calm = 0
        self._recent.clear()
        return True
