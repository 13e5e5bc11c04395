"""Lip sync: does the jaw move with the speech, do the lips meet where they must."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.metrics.bootstrap import Array, Metric, share
from avatar_forcing_ros.training.synthetic.speech import Phoneme
from avatar_forcing_ros.training.synthetic.visemes import closes_lips

Motion = NDArray[np.floating[Any]]  # [T, K] rig coefficients
MAX_LAG_FRAMES = 5
AROUND_SPEECH_FRAMES = 12  # half a second: opening before the speech and closing after it count
CLOSED = 0.5
CLOSURE_SLACK_FRAMES = 1
_SUMS = 6  # n, Σx, Σy, Σx², Σy², Σxy


def lip_sync(
    generated: Sequence[Motion], truth: Sequence[Motion], speaking: Sequence[NDArray[np.bool_]]
) -> tuple[Metric, Metric]:
    """Pearson's r of jaw_open, generated against true, and the lag in frames where r is highest.

    Pooled over the frames in which the avatar speaks (`speaking` ``[T]`` each) and half a second
    around them. r is that at lag 0; a positive lag means that the generated jaw is late.
    """
    jaw = INDEX["jaw_open"]
    lags = range(-MAX_LAG_FRAMES, MAX_LAG_FRAMES + 1)
    sums = np.array(
        [
            [
                _sums(_shifted(made[:, jaw], lag), _inner(real[:, jaw]), _inner(_near(spoken)))
                for lag in lags
            ]
            for made, real, spoken in zip(generated, truth, speaking, strict=True)
        ]
    )  # [C, L, 6]
    flat = sums.reshape(len(sums), -1)

    def r(totals: Array) -> Array:
        return pearson_of_sums(totals.reshape(len(totals), len(lags), _SUMS))  # [R, L]

    return (
        Metric(flat, lambda totals: r(totals)[:, MAX_LAG_FRAMES]),
        Metric(flat, lambda totals: r(totals).argmax(axis=1) - float(MAX_LAG_FRAMES)),
    )


def pearson_of_sums(sums: Array) -> Array:
    """Pearson's r ``[…]`` of ``[…, 6]``: n, Σx, Σy, Σx², Σy², Σxy; 0 where one is constant."""
    n = np.maximum(sums[..., 0], 1.0)
    x, y = sums[..., 1] / n, sums[..., 2] / n
    var_x, var_y = sums[..., 3] / n - x**2, sums[..., 4] / n - y**2
    size = np.sqrt(np.maximum(var_x, 0.0) * np.maximum(var_y, 0.0))
    known = size > 1e-9
    return np.where(known, (sums[..., 5] / n - x * y) / np.where(known, size, 1.0), 0.0)


def bilabial_closure(generated: Sequence[Motion], phonemes: Sequence[Sequence[Phoneme]]) -> Metric:
    """Share of the sounds /m b p/ during which the lips meet (lips_close above a half).

    Sounds shorter than a frame do not count; a frame before and after them does. A mouth that
    never opens would score 1: read it beside `lip_sync`.
    """
    return share(
        np.array([_closures(m, spoken) for m, spoken in zip(generated, phonemes, strict=True)])
    )


def _closures(motion: Motion, phonemes: Sequence[Phoneme]) -> tuple[float, float]:
    """How many closures the lips of one clip made, of how many."""
    lips = motion[:, INDEX["lips_close"]]
    made = due = 0
    for start_s, end_s, ipa in phonemes:
        first = math.floor(start_s * FRAME_RATE_HZ)
        stop = math.ceil(end_s * FRAME_RATE_HZ)
        inside = start_s >= 0.0 and stop <= len(lips)
        if not closes_lips(ipa) or end_s - start_s < 1.0 / FRAME_RATE_HZ or not inside:
            continue
        around = slice(max(0, first - CLOSURE_SLACK_FRAMES), stop + CLOSURE_SLACK_FRAMES)
        due += 1
        made += bool(lips[around].max() > CLOSED)
    return float(made), float(due)


def _near(speaking: NDArray[np.bool_]) -> NDArray[np.bool_]:
    window = np.ones(2 * AROUND_SPEECH_FRAMES + 1)
    full = np.convolve(speaking, window) > 0
    return full[AROUND_SPEECH_FRAMES : AROUND_SPEECH_FRAMES + len(speaking)]


def _inner(series: NDArray[Any]) -> NDArray[Any]:
    """Frames that have a partner at every lag."""
    return series[MAX_LAG_FRAMES : len(series) - MAX_LAG_FRAMES]


def _shifted(series: NDArray[Any], lag: int) -> NDArray[Any]:
    return series[MAX_LAG_FRAMES + lag : len(series) - MAX_LAG_FRAMES + lag]


def _sums(x: Motion, y: Motion, where: NDArray[np.bool_]) -> list[float]:
    a, b = x[where].astype(np.float64), y[where].astype(np.float64)
    return [float(len(a)), a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()]
