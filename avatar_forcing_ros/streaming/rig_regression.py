"""Rig coefficients from opaque motion latents, by ridge regression on pictures with known ones.

A portrait warped by known coefficients and encoded gives pairs of latent and coefficients. What
the latents know of head angles and mouth is then linear enough to be read off; how well is
measured on pairs that the fit did not see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import coefficients

Array = NDArray[np.float64]
FITTED_POSES, HELD_OUT_POSES = 64, 16
RANGE_SHARE = 0.7  # of each coefficient's range; the extremes of all at once are no face
RIDGE = 1e-2  # of the features' variance


@dataclass(frozen=True)
class RigRegression:
    """A linear map from motion magnitudes ``[T, M]`` to coefficients ``[T, K]``."""

    feature_mean: Array  # [M]
    feature_scale: Array  # [M]
    slope: Array  # [M, K]
    offset: Array  # [K]

    @classmethod
    def fit(cls, features: Array, values: Array) -> RigRegression:
        """From pairs of `features` ``[n, M]`` and `values` ``[n, K]``."""
        mean = features.mean(axis=0)
        scale = np.maximum(features.std(axis=0), 1e-9)
        x = (features - mean) / scale
        offset = values.mean(axis=0)
        gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
        return cls(mean, scale, np.linalg.solve(gram, x.T @ (values - offset)), offset)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coefficients ``[T, K]`` within the rig's ranges."""
        x = (features - self.feature_mean) / self.feature_scale
        return coefficients.clip((x @ self.slope + self.offset).astype(np.float32))


def random_poses(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Coefficients ``[count, K]`` for a fit: few move at a time, as in a face."""
    rng = np.random.default_rng(seed)
    span = rng.uniform(coefficients.LOW, coefficients.HIGH, (count, coefficients.COUNT))
    moved = rng.random(span.shape) < 0.5
    return (RANGE_SHARE * span * moved).astype(np.float32)


def fit_to_renders(
    encode: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    fitted: int = FITTED_POSES,
    held_out: int = HELD_OUT_POSES,
) -> tuple[RigRegression, dict[str, float]]:
    """A regression, and the correlation of each coefficient on poses that it did not see.

    `encode` draws coefficients ``[n, K]`` and gives their motion magnitudes ``[n, M]``.
    """
    poses = random_poses(fitted + held_out)
    features = encode(poses).astype(np.float64)
    regression = RigRegression.fit(features[:fitted], poses[:fitted].astype(np.float64))
    found = regression(features[fitted:].astype(np.float32))
    return regression, {
        name: _correlation(found[:, k], poses[fitted:, k])
        for k, name in enumerate(coefficients.NAMES)
    }


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Pearson's r; 0 where one of them does not move."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-12 else 0.0
