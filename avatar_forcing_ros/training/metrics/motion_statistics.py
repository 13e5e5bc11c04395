"""Does the motion have the range, the variety and the distribution of the true one.

All of it in normalised units: coefficients divided by the true motion's standard deviation over
the set, so that radians and lid openings count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

from avatar_forcing_ros.training.metrics.bootstrap import Array, Measure, mean_of

Motion = NDArray[np.floating[Any]]  # [T, d] in normalised units
CLUSTERS_EXPRESSION, CLUSTERS_POSE = 40, 20  # as in Dyadic Interaction Modeling's evaluation
KMEANS_ROUNDS = 20
LEAST_STD = 1e-3


def spread_of(truth: Sequence[Motion]) -> Array:
    """The unit of every coefficient: its standard deviation over all clips ``[K]``, not 0."""
    return np.maximum(np.concatenate(truth).std(axis=0, dtype=np.float64), LEAST_STD)


def clusters(truth: Sequence[Motion], count: int, seed: int = 0) -> Array:
    """Centres ``[count, d]`` of a k-means clustering of the true frames."""
    frames = np.concatenate(truth).astype(np.float64)
    centres, _ = kmeans2(frames, count, iter=KMEANS_ROUNDS, minit="++", missing="warn", seed=seed)
    return np.asarray(centres)


def diversity(clips: Sequence[Motion], centres: Array) -> Measure:
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


def variance(clips: Sequence[Motion]) -> Measure:
    """Var: variance over the time of a clip, mean over coefficients and clips."""
    return mean_of(np.array([clip.var(axis=0, dtype=np.float64).mean() for clip in clips]))


def frechet_distance(generated: Sequence[Motion], truth: Sequence[Motion]) -> Measure:
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
        one, other = (_moments(part, dim) for part in (totals[:, :half], totals[:, half:]))
        return _distance(*one, *other)

    return Measure(per_clip, score)


def _gaussian(clip: Motion) -> Array:
    x = clip.astype(np.float64)
    return np.concatenate(([len(x)], x.sum(axis=0), (x.T @ x).ravel()))


def _moments(sums: Array, dim: int) -> tuple[Array, Array]:
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
