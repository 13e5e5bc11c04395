"""Calm filling: what a picture does not show, continued smoothly from what it does."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

_GRAIN_SEED = 0


def fill_smoothly(image: Array, known: Array) -> Array:
    """`image` ``[H, W, C]`` where `known` ``[H, W]`` is 1, elsewhere its smooth continuation.

    Push and pull over a pyramid (Gortler et al. 1996): the nearer a known place, the more it
    counts, so that there is neither a streak nor an edge. Values between 0 and 1 are trusted in
    part. Nothing known gives zeros.
    """
    weight = known.astype(np.float32)[..., None]
    return _pull(image.astype(np.float32) * weight, weight)


def _pull(total: Array, weight: Array) -> Array:
    """The mean ``total / weight`` where there is weight, elsewhere the coarser level's."""
    height, width = weight.shape[:2]
    own = total / np.maximum(weight, 1e-6)
    if max(height, width) <= 1:
        return own
    size = (width + 1) // 2, (height + 1) // 2
    coarse_total = _channels(cv2.resize(total, size, interpolation=cv2.INTER_AREA))
    coarse_weight = _channels(cv2.resize(weight, size, interpolation=cv2.INTER_AREA))
    # a place with some known pixels counts more and more as known
    gain = np.minimum(4.0, 1.0 / np.maximum(coarse_weight, 1e-6))
    coarse = _pull(coarse_total * gain, coarse_weight * gain)
    fine = _channels(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(fine + np.minimum(weight, 1.0) * (own - fine), np.float32)


def _channels(array: NDArray[np.generic]) -> Array:
    """`array` with the last axis that OpenCV drops where it is 1."""
    out = np.asarray(array, np.float32)
    return out if out.ndim == 3 else out[..., None]


def grain_level(image: Array, where: NDArray[np.bool_]) -> float:
    """Standard deviation of the pixel noise of `image` ``[H, W, 3]`` at the places `where`.

    A robust estimate from the median absolute difference to a small blur; 0 with few places.
    """
    if where.sum() < 64:
        return 0.0
    grey = image.mean(-1)
    rest = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
    return float(1.4826 * np.median(np.abs(rest[where])))


def add_grain(image: Array, where: Array, level: float) -> Array:
    """`image` ``[H, W, 3]`` with grey noise of `level` where `where` ``[H, W]`` is 1; seeded."""
    noise = np.random.default_rng(_GRAIN_SEED).normal(0.0, level, where.shape).astype(np.float32)
    return image + (noise * where)[..., None]
