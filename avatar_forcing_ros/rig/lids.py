"""Where an eye's lids end in a portrait: lash lines fitted to the picture, the brow above them.

The mesh's points are right to a few pixels, and that shows when a lid moves: what lies outside of
the lines stays behind. All thresholds are of a picture with its eye's bright parts at one level,
so that dark and faded portraits are read as others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from avatar_forcing_ros.rig.face_landmarks import EyeIndices
from avatar_forcing_ros.rig.image_ops import remap
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]

BRIGHT_LEVEL = 200.0  # the eye's bright parts after levelling
MAX_GAIN = 12.0
_MIN_GAP = 0.02  # of the eye's width: what counts as open, where the eye is closed
_CORNER_REACH = 0.22  # of the eye's width: how far beyond the mesh an eye may go on
_MIN_LID = 0.18  # of the eye's width: the least skin above the lashes that a lid is made of


@dataclass(frozen=True)
class LidCurves:
    """Both lash lines, from the image's left to its right, corners included.

    `upper`, `lower` ``[9, 2]`` px; `upper_ids`, `lower_ids` the landmarks they come from; `gap_px`
    the height of the opening, never zero.
    """

    upper: Array
    lower: Array
    upper_ids: list[int]
    lower_ids: list[int]
    gap_px: float


@dataclass(frozen=True)
class Surroundings:
    """What is around an eye, its bright parts at one level: `image` ``[h, w, 3]`` float32.

    `origin_px` ``[2]`` is the place in the portrait of its first pixel.
    """

    image: Array
    origin_px: Array


def surroundings(portrait: Portrait, eye: EyeIndices) -> Surroundings:
    """The part of `portrait` around `eye`, a pixel at least, its bright parts at 200."""
    points = portrait.landmarks[[eye.outer, eye.inner, *eye.upper, *eye.brow_lower], :2]
    reach = 0.5 * float(np.ptp(points[:, 0]))
    low = np.clip(points.min(0) - reach, 0.0, portrait.size_px - 1.0).astype(int)
    high = np.maximum(points.max(0) + reach, low).astype(int) + 1
    part = portrait.image[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    bright = float(np.percentile(part.mean(-1), 90))
    part *= min(BRIGHT_LEVEL / max(bright, 1.0), MAX_GAIN)
    return Surroundings(part, low.astype(np.float32))


def trace_lids(portrait: Portrait, eye: EyeIndices, around: Surroundings) -> LidCurves:
    """The lash lines of `eye`, fitted to the image around its landmarks."""
    p = portrait.landmarks[:, :2] - around.origin_px
    ends = sorted((eye.outer, eye.inner), key=lambda i: float(p[i, 0]))
    upper_ids, lower_ids = (
        [ends[0], *sorted(ids.tolist(), key=lambda i: float(p[i, 0])), ends[1]]
        for ids in (eye.upper, eye.lower)
    )
    upper, lower = p[upper_ids].copy(), p[lower_ids].copy()
    image = around.image
    for curve in (upper, lower):  # corners, too, are tracked inside of the eye
        curve[[0, -1]] += 0.05 * (curve[[0, -1]] - curve[[-1, 0]])
    width_px = float(upper[-1, 0] - upper[0, 0])
    gap_px = float((lower[1:-1, 1] - upper[1:-1, 1]).max())
    gap_px = max(gap_px, _MIN_GAP * width_px, 0.5)
    upper[:, 1] += _to_lashes(image, upper, gap_px)
    chroma = cv2.GaussianBlur(image[..., 0] - image[..., 2], (0, 0), 1.0)
    lower[:, 1] += _to_skin(np.asarray(chroma, np.float32), lower, gap_px)
    corners = 0.5 * (upper[[0, -1], 1] + lower[[0, -1], 1])
    upper[[0, -1], 1] = lower[[0, -1], 1] = corners
    _extend_corners(image, upper, lower)
    lower[:, 1] = np.maximum(lower[:, 1], upper[:, 1])
    gap_px = max(float((lower[:, 1] - upper[:, 1]).max()), _MIN_GAP * width_px, 0.5)
    origin = around.origin_px
    return LidCurves(upper + origin, lower + origin, upper_ids, lower_ids, gap_px)


def column_weights(knots_x: Array, xs: Array) -> Array:
    """Matrix ``[w, n]`` that draws a smooth curve through values at `knots_x` ``[n]``."""
    # a corner may lie inside of its lid: knots that go back become a step, never a tie
    x = np.maximum.accumulate(knots_x) + 1e-3 * np.arange(len(knots_x))
    spline = CubicSpline(x, np.eye(len(x)), bc_type="natural")
    return np.asarray(spline(np.clip(xs, x[0], x[-1])), np.float32)


def below_brow(
    around: Surroundings, xs: Array, brow_y: Array, upper_y: Array, width_px: float
) -> Array:
    """The height ``[w]`` where the skin of the upper lid begins, at columns `xs`.

    `brow_y` ``[w]`` is the brow's lower edge by the mesh, `upper_y` ``[w]`` the lash line. From
    the brightest skin between them upwards it ends where the brow darkens it; brow that is part
    of a lid would be drawn out over the eye.
    """
    rows = np.arange(40)[:, None]
    first = np.minimum(brow_y - 0.05 * width_px, upper_y - 0.3 * width_px)
    ys = first + rows / 39.0 * (upper_y - 0.06 * width_px - first)  # [40, w] from the brow down
    grey = cv2.GaussianBlur(around.image.mean(-1), (0, 0), max(0.02 * width_px, 0.6))
    places = np.dstack([np.broadcast_to(xs, ys.shape), ys]).astype(np.float32)
    places -= around.origin_px
    light = remap(np.asarray(grey, np.float32), places)  # [40, w]
    is_brow = (light < 0.75 * light.max(0)) & (rows < light.argmax(0))
    edge = np.where(is_brow, rows, 0).max(0)  # [w]
    # one shift for the whole brow: single columns see folds and strands of hair
    shift = np.median(np.take_along_axis(ys, edge[None], 0)[0] - brow_y)
    top = cv2.GaussianBlur(
        np.asarray(brow_y + shift, np.float32)[None], (0, 0), max(0.08 * width_px, 0.6)
    )[0]
    return np.asarray(np.minimum(top, upper_y - _MIN_LID * width_px), np.float32)


def _to_lashes(image: Array, curve: Array, gap_px: float) -> Array:
    """Vertical shift ``[9]`` px that lays the upper `curve` on the darkest line of the lashes.

    There the lid may end: what it takes along when it closes is lash, never iris.
    """
    light = np.asarray(cv2.GaussianBlur(image.mean(-1), (0, 0), 0.8), np.float32)
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


def _extend_corners(image: Array, upper: Array, lower: Array) -> None:
    """Move the ends of both curves ``[9, 2]`` outwards, in place, as far as white goes on there.

    Painted and drawn eyes end further out than the mesh has them; a white tip outside of the
    curves would stay beside the closed lid.
    """
    width_px = float(upper[-1, 0] - upper[0, 0])
    gap = lower[:, 1] - upper[:, 1]
    steps = np.linspace(0.0, _CORNER_REACH, 12, dtype=np.float32) * width_px
    across = np.linspace(-0.15, 0.15, 11, dtype=np.float32) * width_px
    for end, near in ((0, 1), (-1, -2)):
        side = np.float32(-1.0 if end == 0 else 1.0)
        inside = 0.5 * (upper[near] + lower[near])
        white = remap(image, inside[None, None])[0, 0]  # [3]
        under = lower[near] + np.array(
            [0.0, max(0.15 * width_px, 0.6 * float(gap[near]))], np.float32
        )
        skin = remap(image, under[None, None])[0, 0]
        axis = white - skin
        length = float(axis @ axis)
        # a white is lighter than the skin, and less coloured
        if length < 35.0**2 or white.mean() < skin.mean() or np.ptp(white) > np.ptp(skin) + 20.0:
            continue
        x = np.broadcast_to(upper[end, 0] + side * steps[:, None], (12, 11))
        y = np.broadcast_to(upper[end, 1] + across, (12, 11))
        likeness = (remap(image, np.dstack([x, y]).astype(np.float32)) - skin) @ axis / length
        found = likeness > 0.4  # [12, 11]
        far = int(np.argmin(np.append(found.any(1), False)))  # the first step without any
        if 1 < far < len(steps):
            row = y[found[:far].nonzero()]
            place = upper[end, 0] + side * (steps[far - 1] + 0.02 * width_px)
            upper[end] = lower[end] = (place, float(row.mean()))
