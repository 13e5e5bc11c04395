"""Reading images and fields between their pixels; coverage of outlines."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

READS_ONE_ARRAY = int(cv2.__version__.partition(".")[0]) < 5
_NO_MAP = np.empty(0, np.float32)  # the places come in one array


def remap(values: Array, places: Array) -> Array:
    """`values` ``[h, w, ...]`` float32 at pixel `places` ``[H, W, 2]``; the edge goes on."""
    return np.asarray(
        cv2.remap(values, *_maps(places), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


def sample(image: Image, places: Array, method: int = cv2.INTER_LINEAR) -> Image:
    """`image` ``[h, w, 3]`` uint8 at pixel `places` ``[H, W, 2]``; the edge goes on."""
    return np.asarray(
        cv2.remap(image, *_maps(places), method, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _maps(places: Array) -> tuple[Array, Array]:
    """`places` as `cv2.remap` takes them: OpenCV 5.1 misreads one array, 4 is faster with it."""
    if READS_ONE_ARRAY:
        return places, _NO_MAP
    x, y = cv2.split(places)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def fill_outline(points: NDArray[np.floating[Any]], size: tuple[int, int]) -> Image:
    """255 inside the polygon `points` ``[n, 2]`` px, 0 outside, ``[h, w]``; `size` is (w, h)."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    fixed = np.round(points * 16.0).astype(np.int32)  # four fractional bits
    cv2.fillPoly(mask, [fixed], (255,), cv2.LINE_AA, 4)
    return mask


def smooth_step(x: NDArray[np.floating[Any]]) -> Array:
    """0 below 0, 1 above 1, smooth between; same shape, float32."""
    t = np.clip(x, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)
