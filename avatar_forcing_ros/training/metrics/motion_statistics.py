"""Statistics of motion: range, variety and distribution; smoothness at block borders; drift.

Coefficients are in normalised units, divided by the true motion's standard deviation over the
set, so that radians and lid openings count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

from avatar_forcing_ros.training.metrics.bootstrap import Array, Metric, mean_of, ratio

Motion = NDArray[np.floating[Any]]  # [T, d]
CLUSTERS = {"expression": 40, "pose": 20}  # as in Dyadic Interaction Modeling's evaluation
KMEANS_ROUNDS = 20
MIN_STD = 1e-3


def spread_of(truth: Sequence[Motion]) -> Array:
    """The unit of every coefficient: its standard deviation over all clips ``[K]``, not 0."""
    return np.maximum(np.concatenate(truth).std(axis=0, dtype=np.float64), MIN_STD)


def clusters(truth: Sequence[Motion], count: int, seed: int = 0) -> Array:
    """Centres ``[count, d]`` of a k-means clustering of the true frames."""
    frames = np.concatenate(truth).astype(np.float64)
    centres, _ = kmeans2(frames, count, iter=KMEANS_ROUNDS, minit="++", missing="warn", seed=seed)
    return np.asarray(centres)


def diversity(clips: Sequence[Motion], centres: Array) -> Metric:
    """SID, the Shannon index for diversity, in bits, mean over clips.

    H = -Σ p log2 p, p being the share of a clip's frames in each cluster of true motion. From
    Learning to Listen (Ng et al. 2022, arXiv 2204.08451); clusters as many as in Dyadic
    Interaction Modeling (arXiv 2403.09069), which pools all frames, while here every clip has its
    own index: an avatar that always does the same is not made diverse by its users.
    """
    return mean_of(np.array([_entropy(clip, centres) for clip in clips]))


def _entropy(clip: Motion, centres: Array) -> float:
    nearest, _ = vq(clip.astype(np.float64), centres)
    p = np.bincount(nearest, minlength=len(centres)) / len(clip)
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


def variance(clips: Sequence[Motion]) -> Metric:
    """Var: variance over the time of a clip, mean over coefficients and clips."""
    return mean_of(np.array([clip.var(axis=0, dtype=np.float64).mean() for clip in clips]))


def frechet_distance(generated: Sequence[Motion], truth: Sequence[Motion]) -> Metric:
    """FD between Gaussians fitted to the frames of both.

    |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½) (Dowson & Landau 1982; Heusel et al. 2017). The trace of
    the root is the sum of the root eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric.
    """
    per_clip = np.array(
        [
            np.concatenate((_gaussian(a), _gaussian(b)))
            for a, b in zip(generated, truth, strict=True)
        ]
    )
    dim = generated[0].shape[1]

    def score(totals: Array) -> Array:
        half = totals.shape[1] // 2
        one, other = (
            _mean_and_covariance(part, dim) for part in (totals[:, :half], totals[:, half:])
        )
        return _distance(*one, *other)

    return Metric(per_clip, score)


def _gaussian(clip: Motion) -> Array:
    x = clip.astype(np.float64)
    return np.concatenate(([len(x)], x.sum(axis=0), (x.T @ x).ravel()))


def _mean_and_covariance(sums: Array, dim: int) -> tuple[Array, Array]:
    n = sums[:, :1]
    mean = sums[:, 1 : 1 + dim] / n  # [R, d]
    second = (sums[:, 1 + dim :] / n).reshape(-1, dim, dim)
    return mean, second - mean[:, :, None] * mean[:, None, :]


def _distance(mean: Array, cov: Array, other_mean: Array, other_cov: Array) -> Array:
    values, vectors = np.linalg.eigh(cov)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    shared = np.linalg.eigvalsh(root @ other_cov @ root)
    traces = np.trace(cov, axis1=1, axis2=2) + np.trace(other_cov, axis1=1, axis2=2)
    between = np.square(mean - other_mean).sum(axis=1)
    return between + traces - 2.0 * np.sqrt(np.maximum(shared, 0.0)).sum(axis=1)


def border_steps(frames: int, first_block: int, block: int, skipped: int = 0) -> NDArray[np.bool_]:
    """Whether frame t + 1 begins a block, for each step t to t + 1 of a clip ``[frames - 1]``.

    The clip is what a stream made without its first `skipped` frames.
    """
    place = np.arange(1, frames) + skipped - first_block
    return (place >= 0) & (place % block == 0)


def border_jerk(clips: Sequence[Motion], borders: Sequence[NDArray[np.bool_]]) -> Metric:
    """Mean size of the third difference at block borders over that elsewhere; 1 is smooth.

    A third difference x₊₂ - 3x₊₁ + 3x₀ - x₋₁ belongs to the step between its 2nd and 3rd frame;
    `borders` ``[T - 1]`` says for every step whether it crosses a border. The quotient is taken
    for each coefficient, the metric is the median of them. NaN without borders. A staircase whose
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

    return Metric(sums.reshape(len(sums), -1), score)


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
