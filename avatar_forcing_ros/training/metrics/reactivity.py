"""Reactivity: does the avatar answer the user as the true partner does.

rPCC, the residual Pearson correlation coefficient of Dyadic Interaction Modeling (Tran et al.
2024, arXiv 2403.09069), which the Avatar Forcing paper reports too, is
|PCC(user, generated) - PCC(user, true)|. There, all frames and coefficients are one long series
and the correlation is taken at lag 0. An answer comes 200 to 600 ms after its cause and a mirrored
yaw has the other sign, so here each coefficient has a correlation of its own, at every lag of the
avatar from 0 to 1 s, and the residual is the mean over coefficients and lags.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.metrics.bootstrap import Array, Metric

Motion = NDArray[np.floating[Any]]  # [T, K]
LAG_FRAMES = FRAME_RATE_HZ  # the latest answer: one second
INFORMATIVE_R = 0.1


def correlation_sums(user: Sequence[Motion], avatar: Sequence[Motion]) -> Array:
    """What pooled correlations are made of: ``[C, 26, 3, K]``, Σxy, Σx², Σy² at each lag.

    Each clip's own mean is taken out before: people rest and cameras look differently, and a
    correlation of these across clips is no reaction.
    """
    return np.array([_lagged(a, b) for a, b in zip(user, avatar, strict=True)])


def _lagged(user: Motion, avatar: Motion) -> list[list[Array]]:
    x, y = (m.astype(np.float64) - m.mean(axis=0, dtype=np.float64) for m in (user, avatar))
    out = []
    for lag in range(LAG_FRAMES + 1):
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
    """rPCC over the coefficients of `part`: 0 is an avatar that answers as the true one does.

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
