"""What to compute less of where a device is too slow: quality levels, chosen by measured time.

A late avatar must not build a queue. Before frames are left out there is something to save:
function evaluations first, which cost motion a little sharpness, then the size at which images are
computed, at last every other image of the user, who is seen some 20 ms later then. A level is kept
for as long as it holds; a better one is tried again after a calm time, and later and later where
it did not hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from avatar_forcing_ros.timebase import FRAME_PERIOD_S

MIN_NFE = 4
TRACKING_PERIOD_NS = 20_000_000  # faster cameras add nothing: a block has 25 frames a second
SLOW_TRACKING_PERIOD_NS = 60_000_000  # every other image of a camera of 25 or 30 Hz
MAX_LOAD = 0.85  # of the block's own duration; the rest is for everything around it
FULL_LOAD, FREE_LOAD = 1.1, 0.85  # above the one the user is looked at less, below the other more
LOW_LOAD = 0.6  # a level that leaves so much time may stand above a better one that holds
JUDGED_BLOCKS = 5
CAUGHT_UP_BLOCKS = 25  # after a change that saves time blocks are late for some time still
CALM_BLOCKS = 100
MAX_CALM_BLOCKS = 3200


@dataclass(frozen=True)
class QualityLevel:
    """Function evaluations a block, and the side at which images are computed."""

    nfe: int
    drawn_size_px: int
    tracking_period_ns: int = TRACKING_PERIOD_NS
    """How far apart images of the user have to be at least for both to be looked at."""


def quality_levels(
    nfe: int, sizes_px: Sequence[int], *, tracks_apart: bool = True
) -> list[QualityLevel]:
    """Levels from full quality down; `sizes_px` are those that the codec can draw at.

    Evaluations go down to half (4 at least), then the image to half its side, then evaluations
    to 4, then images of the user to every other one, if they are tracked apart from the blocks.
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
    if tracks_apart:
        levels.append(QualityLevel(lowest, full, SLOW_TRACKING_PERIOD_NS))
    return list(dict.fromkeys(levels))


class DegradationControl:
    """Chooses the level from what blocks took; no clock in here."""

    def __init__(self, levels: Sequence[QualityLevel]) -> None:
        self._levels = levels
        self._level = 0
        # of each block the time taken over the time covered, and whether it was late
        self._recent: deque[tuple[float, bool]] = deque(maxlen=JUDGED_BLOCKS)
        self._calm = 0
        self._patience = CALM_BLOCKS
        self._since_better = CALM_BLOCKS  # blocks since a better level was tried
        self._since_change = 0

    @property
    def quality(self) -> QualityLevel:
        """The level that the next block is to be made at."""
        return self._levels[self._level]

    @property
    def reduced(self) -> bool:
        """Whether it is less than full quality."""
        return self._level > 0

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to save."""
        return self._level + 1 == len(self._levels)

    def after_block(self, took_s: float, frames: int, *, late: bool) -> bool:
        """Judge a block of `frames` that took `took_s` in all; whether the level has changed.

        The user is looked at less only where there is no time left at all, or blocks are `late`.
        """
        self._recent.append((took_s / (frames * FRAME_PERIOD_S), late))
        self._since_better += 1
        self._since_change += 1
        if len(self._recent) < JUDGED_BLOCKS:
            return False
        if self._since_better >= 2 * self._patience:  # whatever did not hold then, this one does
            self._patience = CALM_BLOCKS
        load = median(load for load, _ in self._recent)
        late = median(late for _, late in self._recent) > 0
        self._calm = self._calm + 1 if load < self._low_load() and not late else 0
        too_much = load > MAX_LOAD
        if self._looks_less_next():
            too_much = (late or load > FULL_LOAD) and self._since_change >= CAUGHT_UP_BLOCKS
        if too_much and not self.exhausted:
            if self._since_better < self._patience:  # the better level did not hold
                self._patience = min(2 * self._patience, MAX_CALM_BLOCKS)
            return self._step(+1)
        if self._level and self._calm >= self._patience:
            self._since_better = 0
            return self._step(-1)
        return False

    def _low_load(self) -> float:
        """The load below which a better level is tried."""
        better = self._levels[max(0, self._level - 1)]
        looks_less = self.quality.tracking_period_ns > better.tracking_period_ns
        return FREE_LOAD if looks_less else LOW_LOAD

    def _looks_less_next(self) -> bool:
        """Whether what the next level saves is images of the user."""
        after = self._levels[self._level + 1 :]
        return bool(after) and after[0].tracking_period_ns > self.quality.tracking_period_ns

    def _step(self, by: int) -> bool:
        self._level += by
        self._calm = self._since_change = 0
        self._recent.clear()
        return True
