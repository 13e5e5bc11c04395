"""Does motion run on: across the borders of blocks, and over half an hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.training.metrics.bootstrap import Array, Measure, ratio

Motion = NDArray[np.floating[Any]]  # [T, d]


def border_steps(frames: int, first_block: int, block: int, skipped: int = 0) -> NDArray[np.bool_]:
    """Whether frame t + 1 begins a block, for each step t to t + 1 of a clip ``[frames - 1]``.

    The clip is what a stream made without its first `skipped` frames.
    """
    place = np.arange(1, frames) + skipped - first_block
    return (place >= 0) & (place % block == 0)


def border_jerk(clips: Sequence[Motion], borders: Sequence[NDArray[np.bool_]]) -> Measure:
    """Mean size of the third difference at block borders over that elsewhere; 1 is smooth.

    A third difference x₊₂ - 3x₊₁ + 3x₀ - x₋₁ belongs to the step between its 2nd and 3rd frame;
    `borders` ``[T - 1]`` says for every step whether it crosses a border. The quotient is taken
    for each coefficient, the figure is the median of them. NaN without borders. A staircase whose
    steps are at the borders has 2 in blocks of 3 and 4 in blocks of 5. In blocks of 2 every third
    difference has a border at its middle or two at its ends: an even staircase has 1 there, steps
    of random size about 1.4.
    """
    sums = np.array([_jerks(x, at) for x, at in zip(clips, borders, strict=True)])  # [C, 4, d]

    def score(totals: Array) -> Array:
        at, n_at, inside, n_inside = np.moveaxis(totals.reshape(-1, *sums.shape[1:]), 1, 0)
        quotients = ratio(ratio(at, n_at), ratio(inside, n_inside))  # [R, d]
        known = np.isfinite(quotients).any(axis=1)
        out = np.full(len(quotients), np.nan)
        out[known] = np.nanmedian(quotients[known], axis=1)
        return out

    return Measure(sums.reshape(len(sums), -1), score)


def _jerks(motion: Motion, borders: NDArray[np.bool_]) -> Array:
    jerk = np.abs(np.diff(motion.astype(np.float64), n=3, axis=0))  # [T - 3, d]
    at = borders[1:-1]  # the steps between 2nd and 3rd frames
    ones = np.ones(motion.shape[1])
    return np.stack(
        [jerk[at].sum(axis=0), at.sum() * ones, jerk[~at].sum(axis=0), (~at).sum() * ones]
    )


def drift(streams: Sequence[Motion], window_frames: int) -> tuple[Array, Array]:
    """How far each stream's mean moved, and its last spread over its first: both ``[streams]``.

    The first `window_frames` are compared with the last. The distance is that of the means, mean
    over coefficients, in the units of `streams`; of the quotients of standard deviations it is the
    median over coefficients.
    """
    moved, widened = [], []
    for motion in streams:
        ends = (motion[:window_frames], motion[-window_frames:])
        first, last = (part.astype(np.float64) for part in ends)
        moved.append(np.abs(last.mean(axis=0) - first.mean(axis=0)).mean())
        widened.append(float(np.nanmedian(ratio(last.std(axis=0), first.std(axis=0)))))
    return np.array(moved), np.array(widened)
