"""The eyeball of a portrait as if there were no lids, continued behind them.

The iris goes on by its median colour at each radius, the white by what is seen of it and by the
light that falls there; no colour comes from anywhere but the portrait.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Eyeball:
    """`image` ``[h, w, 3]`` uint8; `radius_px` of the iris.

    `contrast` 0…1 tells how surely an iris is darker than its white, 0.5 where they are alike or
    too little is seen.
    """

    image: Image
    radius_px: float
    contrast: float


def complete_eyeball(
    rest: Array, seen: Mask, offset: Array, radius_px: float, width_px: float, skin: Array
) -> Eyeball:
    """The eyeball of `rest` ``[h, w, 3]`` float32 where `seen` ``[h, w]`` shows through the lids.

    `offset` ``[h, w, 2]`` px from the middle of the iris, `radius_px` the iris by the mesh,
    `width_px` the eye's, `skin` ``[3]`` the colour of a white of which nothing is seen.
    """
    grey = rest.mean(-1)
    distance = np.asarray(np.hypot(offset[..., 0], offset[..., 1]), np.float32)
    radius_px = _iris_radius(grey, seen, offset[..., 1], distance, radius_px)
    radius = distance / radius_px
    outside = seen & (radius > 1.1)
    if outside.any():
        # the bulk of what is no iris; neither lashes nor a light that is mirrored
        low, high = np.percentile(grey[outside], [40, 92])
        outside &= (grey >= max(low, 0.72 * high)) & (grey <= high + 2.0)
    white = _spread_colour(rest, outside, 0.05 * width_px, skin)
    if outside.any():  # nor is it lighter there than the light that falls there
        light = cv2.GaussianBlur(grey, (0, 0), max(0.15 * width_px, 0.6))[..., None] + 1.0
        seen_light = _spread_colour(light, outside, 0.05 * width_px, skin[:1])
        white *= np.clip(light / np.maximum(seen_light, 1.0), 0.3, 1.0)
    iris = _by_radius(rest, seen & (radius < 1.05), radius)
    disc = np.clip((1.04 - radius) * radius_px / 1.5 + 0.5, 0.0, 1.0)[..., None]
    whole = white + disc * (iris - white)
    # the seam between what is seen and what is made up
    share = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 0.8)[..., None]
    out = whole + share * (rest - whole)
    image = np.asarray(np.clip(out + 0.5, 0, 255), np.uint8)
    return Eyeball(image, radius_px, _contrast(grey, seen, offset[..., 1] / radius_px, radius))


def _contrast(grey: Array, seen: Mask, height: Array, radius: Array) -> float:
    """How often a place of the iris is darker than one to its left or right, 0…1."""
    row = seen & (np.abs(height) < 0.6)
    inner, outer = grey[row & (radius < 0.9)], grey[row & (radius > 1.15) & (radius < 2.0)]
    if min(len(inner), len(outer)) < 4:
        return 0.5
    return float((inner[:, None] < outer[None]).mean())


def _iris_radius(
    grey: Array, seen: Mask, height_px: Array, distance: Array, radius_px: float
) -> float:
    """Where the iris turns white to its left and right, px; else the landmarks'."""
    sides = seen & (np.abs(height_px) < 0.6 * radius_px)
    tries = np.linspace(0.75, 1.4, 27) * radius_px
    band = 0.14 * radius_px
    bright = float(np.percentile(grey[seen], 90)) if seen.any() else 255.0
    best, found = 0.045 * bright, radius_px
    for radius in tries:
        inner = sides & (distance < radius) & (distance > radius - band)
        outer = sides & (distance > radius) & (distance < radius + band)
        if inner.sum() > 3 and outer.sum() > 3:
            step = float(grey[outer].mean() - grey[inner].mean())
            if step > best:
                best, found = step, float(radius)
    return found


def _spread_colour(image: Array, known: Mask, radius_px: float, fallback: Array) -> Array:
    """Each place coloured by the `known` places around it, ``[h, w, C]`` as `image`."""
    if not known.any():
        return np.broadcast_to(fallback, image.shape).astype(np.float32)
    total = np.zeros_like(image)
    weight = np.zeros(image.shape[:2], np.float32)
    mask = known.astype(np.float32)
    for scale, trust in ((1.0, 1.0), (3.0, 1e-2), (12.0, 1e-4)):
        blur = (0, 0), max(radius_px * scale, 0.3)
        weight += trust * cv2.GaussianBlur(mask, *blur)
        total += trust * cv2.GaussianBlur(image * mask[..., None], *blur).reshape(image.shape)
    return np.asarray(total / (weight[..., None] + 1e-9), np.float32)


def _by_radius(image: Array, known: Mask, radius: Array) -> Array:
    """A disc ``[h, w, 3]`` with the median colour of the `known` places at each radius."""
    bins = np.linspace(0.0, 1.1, 10)
    index = np.digitize(radius, bins)
    colours, radii = [], []
    for i in range(1, len(bins)):
        ring = known & (index == i)
        if ring.sum() >= 3:
            colours.append(np.median(image[ring], axis=0))
            radii.append(0.5 * (bins[i - 1] + bins[i]))
    if not colours:
        return image
    table = np.array(colours)
    return np.stack([np.interp(radius, radii, table[:, c]) for c in range(3)], -1).astype(
        np.float32
    )
