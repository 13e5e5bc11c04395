"""Synchrony of the avatar: with its own speech (lip sync) and with the user (reactivity).

rPCC, the residual Pearson correlation coefficient of Dyadic Interaction Modeling (Tran et al.
2024, arXiv 2403.09069), which the Avatar Forcing paper reports too, is
|PCC(user, generated) - PCC(user, true)|. There, all frames and coefficients are one long series
and the correlation is taken at lag 0. A reaction comes 200 to 600 ms after its cause and a
mirrored yaw has the other sign, so here each coefficient has a correlation of its own, at every
lag of the avatar from 0 to 1 s, and the residual is the mean over coefficients and lags.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.metrics.behaviour import near
from avatar_forcing_ros.training.metrics.bootstrap import Array, Metric, share
from avatar_forcing_ros.training.synthetic.speech import Phoneme
from avatar_forcing_ros.training.synthetic.visemes import closes_lips

Motion = NDArray[np.floating[Any]]  # [T, K] rig coefficients
MAX_LAG_FRAMES = 5
AROUND_SPEECH_FRAMES = 12  # half a second: opening before the speech and closing after it count
CLOSED = 0.5
CLOSURE_SLACK_FRAMES = 1
_SUMS = 6  # n, Σx, Σy, Σx², Σy², Σxy
RESPONSE_LAG_FRAMES = FRAME_RATE_HZ  # the latest reaction: one second
INFORMATIVE_R = 0.1


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
                _sums(
                    _shifted(made[:, jaw], lag),
                    _inner(real[:, jaw]),
                    _inner(near(spoken, AROUND_SPEECH_FRAMES)),
                )
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
    """Share of the phonemes /m b p/ during which the lips meet (lips_close above a half).

    Phonemes shorter than a frame do not count; a frame before and after them does. A mouth that
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


def _inner(series: NDArray[Any]) -> NDArray[Any]:
    """Frames that have a partner at every lag."""
    return series[MAX_LAG_FRAMES : len(series) - MAX_LAG_FRAMES]


def _shifted(series: NDArray[Any], lag: int) -> NDArray[Any]:
    return series[MAX_LAG_FRAMES + lag : len(series) - MAX_LAG_FRAMES + lag]


def _sums(x: Motion, y: Motion, where: NDArray[np.bool_]) -> list[float]:
    a, b = x[where].astype(np.float64), y[where].astype(np.float64)
    return [float(len(a)), a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()]


def correlation_sums(user: Sequence[Motion], avatar: Sequence[Motion]) -> Array:
    """What pooled correlations are made of: ``[C, 26, 3, K]``, Σxy, Σx², Σy² at each lag.

    Each clip's own mean is taken out before: people rest and cameras look differently, and a
    correlation of these across clips is no reaction.
    """
    return np.array([_lagged(a, b) for a, b in zip(user, avatar, strict=True)])


def _lagged(user: Motion, avatar: Motion) -> list[list[Array]]:
    x, y = (m.astype(np.float64) - m.mean(axis=0, dtype=np.float64) for m in (user, avatar))
    out = []
    for lag in range(RESPONSE_LAG_FRAMES + 1):
        a, b = x[: len(x) - lag], y[lag:]
        out.append([(a * b).sum(axis=0), (a * a).sum(axis=0), (b * b).sum(axis=0)])
    return out


def correlations(sums: Array) -> Array:
    """Pearson's r ``[…, 26, K]`` of sums ``[…, 26, 3, K]``; 0 where one is constant."""
    together, x, y = sums[..., 0, :], sums[..., 1, :], sums[..., 2, :]
    size = np.sqrt(x * y)
    known = size > 1e-9
    return np.where(known, together / np.where(known, size, 1.0), 0.0)


def residual_correlation(generated: Array, truth: Array, part: slice) -> Metric:
    """rPCC over the coefficients of `part`: 0 is an avatar that responds as the true one does.

    `generated` and `truth` are `correlation_sums` of both with the same users. Coefficients that
    the true avatar never moves are left out.
    """
    chosen = _moving(truth, part)
    sums = np.stack([generated[..., chosen], truth[..., chosen]], axis=1)  # [C, 2, 26, 3, k]

    def score(totals: Array) -> Array:
        r = correlations(totals.reshape(-1, *sums.shape[1:]))  # [R, 2, 26, k]
        return np.abs(r[:, 0] - r[:, 1]).mean(axis=(1, 2))

    return Metric(sums.reshape(len(sums), -1), score)


def response_correlation(avatar: Array, truth: Array, part: slice) -> Metric:
    """PCC: how strongly the avatar's coefficients go with the user's, as the true ones do.

    Mean over lags and over the coefficients of `part` whose true correlation is 0.1 or more at
    some lag; coefficients that truly go against the user's count with their sign turned. NaN
    where there is none.
    """
    real = correlations(truth.sum(axis=0))  # [26, K]
    best = np.take_along_axis(real, np.abs(real).argmax(axis=0)[None], axis=0)[0]  # [K]
    chosen = [k for k in _moving(truth, part) if abs(best[k]) >= INFORMATIVE_R]
    signs = np.sign(best[chosen])
    sums = avatar[..., chosen]  # [C, 26, 3, k]

    def score(totals: Array) -> Array:
        if not chosen:
            return np.full(len(totals), np.nan)
        r = correlations(totals.reshape(-1, *sums.shape[1:]))  # [R, 26, k]
        return (r * signs).mean(axis=(1, 2))

    return Metric(sums.reshape(len(sums), -1), score)


def _moving(truth: Array, part: slice) -> list[int]:
    moved = truth.sum(axis=0)[0, 2]  # [K], Σy² at lag 0
    return [k for k in range(*part.indices(len(moved))) if moved[k] > 1e-6]
