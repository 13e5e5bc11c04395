"""A metric over many clips, and its confidence interval by the bootstrap.

Every measure is a function of sums over clips, so a thousand resampled sets of clips (with
replacement: the percentile bootstrap of Efron 1979) cost one matrix product. Clips are drawn
whole, because frames of one conversation are not independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles: 95 %


@dataclass(frozen=True)
class Metric:
    """The sums of each clip, and the metric that totals of them make."""

    per_clip: Array  # [C, S]
    score: Callable[[Array], Array]  # totals [R, S] to values [R]

    def of(self, drawn: Array) -> Array:
        """The metric ``[R]`` of each set in `drawn` ``[R, C]``: how often it has each clip."""
        return self.score(drawn @ self.per_clip)

    @property
    def value(self) -> float:
        """The metric of all clips, each once."""
        return float(self.of(np.ones((1, len(self.per_clip))))[0])


class Estimate(NamedTuple):
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def resamples(clips: int, seed: int = 0, count: int = RESAMPLES) -> Array:
    """`count` resampled sets of `clips` clips: how often each is in a set, ``[R, C]``."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(clips, np.full(clips, 1.0 / clips), size=count).astype(np.float64)


def estimate(measure: Metric, drawn: Array) -> Estimate:
    """The value of `measure` and its interval over the sets `drawn`."""
    return _spread(measure.value, measure.of(drawn))


def difference(one: Metric, other: Metric, drawn: Array) -> Estimate:
    """How much larger `one` is than `other`; both on the same clips, drawn together."""
    return _spread(one.value - other.value, one.of(drawn) - other.of(drawn))


def mean_of(values: Array) -> Metric:
    """The mean of one value per clip ``[C]``; clips that have none (NaN) do not count."""
    known = np.isfinite(values)
    sums = np.stack([np.where(known, values, 0.0), known.astype(np.float64)], axis=1)
    return share(sums)


def share(sums: Array) -> Metric:
    """Total of the first column of ``[C, 2]`` over that of the second; NaN where that is 0."""
    return Metric(sums.astype(np.float64), lambda t: ratio(t[:, 0], t[:, 1]))


def ratio(above: Array, below: Array) -> Array:
    """Their quotient, NaN where `below` is 0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)


def _spread(value: float, again: Array) -> Estimate:
    known = again[np.isfinite(again)]
    if not len(known):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.percentile(known, INTERVAL)
    return Estimate(value, float(low), float(high))
