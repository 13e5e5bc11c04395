"""Where the lids of a portrait run: landmark curves, fitted to the picture.

Tracked lid points lie inside of the lash lines, and a pixel or two off on drawings; a lid that
comes down along a wrong curve leaves a slice of eyeball below it or takes one along. So each curve
is shifted, by three numbers, to what the picture shows: the lashes above, the skin below.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.mesh_indices import EyeIndices
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.sampling import remap

Array = NDArray[np.float32]


@dataclass(frozen=True)
class LidCurves:
    """Both lash lines, from the picture's left to its right, corners included.

    `upper`, `lower` ``[9, 2]`` px; `upper_ids`, `lower_ids` the landmarks they come from.
    """

    upper: Array
    lower: Array
    upper_ids: list[int]
    lower_ids: list[int]


def trace_lids(portrait: Portrait, eye: EyeIndices) -> LidCurves:
    """The lash lines of `eye`, fitted to the picture around its landmarks."""
    p = portrait.landmarks[:, :2]
    ends = sorted((eye.outer, eye.inner), key=lambda i: float(p[i, 0]))
    upper_ids, lower_ids = (
        [ends[0], *sorted(ids.tolist(), key=lambda i: float(p[i, 0])), ends[1]]
        for ids in (eye.upper, eye.lower)
    )
    upper, lower = p[upper_ids].copy(), p[lower_ids].copy()
    for curve in (upper, lower):  # corners, too, are tracked inside of the eye
        curve[[0, -1]] += 0.05 * (curve[[0, -1]] - curve[[-1, 0]])
    gap_px = float((lower[1:-1, 1] - upper[1:-1, 1]).max())
    upper[:, 1] += _to_lashes(portrait.image, upper, gap_px)
    red, _, blue = (portrait.image[..., c].astype(np.float32) for c in range(3))
    chroma = np.asarray(cv2.GaussianBlur(red - blue, (0, 0), 1.0), np.float32)
    lower[:, 1] += _to_skin(chroma, lower, gap_px)
    corners = 0.5 * (upper[[0, -1], 1] + lower[[0, -1], 1])
    upper[[0, -1], 1] = lower[[0, -1], 1] = corners
    lower[:, 1] = np.maximum(lower[:, 1], upper[:, 1])
    return LidCurves(upper, lower, upper_ids, lower_ids)


def _to_lashes(image: NDArray[np.uint8], curve: Array, gap_px: float) -> Array:
    """Vertical shift ``[9]`` px that lays the upper `curve` on the darkest line of the lashes.

    There the lid may end: what it takes along when it closes is lash, never iris.
    """
    grey = image.astype(np.float32).mean(-1)
    light = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.8), np.float32)
    steps = np.linspace(-0.4, 0.08, 25, dtype=np.float32) * gap_px
    places = np.repeat(curve[1:-1, None], len(steps), axis=1)  # [7, 25, 2]
    places[..., 1] += steps
    cost = remap(light, places) + 30.0 * (steps / (0.3 * gap_px) + 0.4) ** 2
    found = steps[cost.argmin(1)]  # [7]
    along = np.linspace(-1.0, 1.0, 9)
    smooth = np.polyval(np.polyfit(along[1:-1], found, 2), along)
    return np.asarray(smooth.clip(-0.4 * gap_px, 0.1 * gap_px), np.float32)


def _to_skin(chroma: Array, curve: Array, gap_px: float) -> Array:
    """Vertical shift ``[9]`` px that lays the lower `curve` where skin colour begins below it."""
    along = np.linspace(0.0, 1.0, 9, dtype=np.float32)
    shape = np.stack(  # Lagrange: values at the left, the middle and the right of the curve
        [(1 - along) * (1 - 2 * along), 4 * along * (1 - along), along * (2 * along - 1)]
    )
    middle, ends = np.linspace(-0.1, 0.25, 8) * gap_px, np.linspace(-0.2, 0.25, 7) * gap_px
    shifts = np.array([np.array(c) @ shape for c in product(ends, middle, ends)])  # [n, 9]
    places = np.broadcast_to(curve, (len(shifts), *curve.shape)).astype(np.float32)
    places[..., 1] += shifts
    step = np.array([0.0, 1.0], np.float32)
    rise = remap(chroma, places + step) - remap(chroma, places - step)
    # capped, or one speck of make-up would decide; tracked points lie inside by a tenth
    score = rise[:, 1:-1].clip(-25.0, 25.0).mean(1)
    score -= 14.0 * ((shifts / (0.2 * gap_px) - 0.5) ** 2).mean(1)
    return np.asarray(shifts[score.argmax()], np.float32)
