"""Glasses in a portrait: what of the picture is frame, and so bends with nothing.

A frame is a dark line that is thin beside its surroundings, and it is the only such line that both
crosses the bridge of the nose below the brows and runs across the cheek well below the eye (or,
where a frame has no lower rim, beside the eye to the temple). Brows that meet, wrinkles, eye bags,
make-up and strands of hair have the one or the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import EyeIndices
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

# darkness of a line as a share of the brightness around it
_MIN_BRIDGE, _MIN_RIM, _MIN_HINGE = 0.22, 0.12, 0.25
_MAX_DARKNESS = 0.5  # blacker counts no more: one strand of hair is no frame
_THICKEST = 0.5  # of the eye's width
_LEAST_SEEN = 15  # percent of a line that may be fainter than the line is said to be


@dataclass(frozen=True)
class _Line:
    """A line through the picture, one pixel a column: `x`, `y` ``[n]`` and its darkness."""

    x: NDArray[np.intp]
    y: NDArray[np.intp]
    darkness: float


def find_glasses(portrait: Portrait) -> Mask | None:
    """Which pixels ``[S, S]`` of `portrait` are the frame of glasses; None where there are none.

    Lashes and lids are never part of it. Rims that are lighter than the skin are not found.
    """
    p = portrait.landmarks[:, :2]
    eyes = (mesh.EYE_RIGHT, mesh.EYE_LEFT)
    width_px = float(np.mean([np.linalg.norm(p[e.outer] - p[e.inner]) for e in eyes]))
    darkness = _thin_and_dark(portrait.image, p, width_px, _THICKEST * width_px)
    bridge = _bridge(darkness, p, width_px)
    if bridge.darkness < _MIN_BRIDGE:
        return None
    rims = [_rim(darkness, p, eye, width_px) for eye in eyes]
    hinges = [_hinge(darkness, p, eye, width_px) for eye in eyes]
    has_rims = float(np.mean([line.darkness for line in rims])) > _MIN_RIM
    if not has_rims and min(line.darkness for line in hinges) < _MIN_HINGE:
        return None
    lines = [bridge, *(rims if has_rims else hinges)]
    # seen again by what is as thin as they are: shades around the eyes are broader
    thickness_px = max(_thickness(darkness, line) for line in lines)
    darkness = _thin_and_dark(portrait.image, p, width_px, 2.2 * thickness_px + 2.0)
    return _grow(darkness, lines, [_lids(portrait, eye, width_px) for eye in eyes], width_px)


def _thin_and_dark(
    image: NDArray[np.uint8], p: Array, width_px: float, thickest_px: float
) -> Array:
    """How much darker than what is beside it a place in a thin line is, 0…1, ``[S, S]``."""
    out = np.zeros(image.shape[:2], np.float32)
    brows = np.concatenate([mesh.EYE_RIGHT.brow_upper, mesh.EYE_LEFT.brow_upper])
    corners = p[[mesh.EYE_RIGHT.outer, mesh.EYE_LEFT.outer]]
    x0, x1 = corners[:, 0].min() - 1.3 * width_px, corners[:, 0].max() + 1.3 * width_px
    y0, y1 = p[brows, 1].min() - 0.6 * width_px, corners[:, 1].max() + 1.8 * width_px
    y, x = np.maximum(np.array([y0, x0]), 0.0).astype(int)
    part = image[y : int(y1) + 1, x : int(x1) + 1]
    if not part.size:
        return out
    grey = cv2.GaussianBlur(part.astype(np.float32).mean(-1), (0, 0), 0.6)
    side = max(int(round(min(thickest_px, _THICKEST * width_px))) | 1, 3)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    around = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, disc)
    floor = 0.05 * float(np.percentile(around, 90)) + 0.5  # noise of the dark is no line
    out[y : y + len(part), x : x + part.shape[1]] = (around - grey) / (around + floor)
    return out


def _bridge(darkness: Array, p: Array, width_px: float) -> _Line:
    """The darkest line from eye to eye over the nose, below the brows."""
    inner = p[[mesh.EYE_RIGHT.inner, mesh.EYE_LEFT.inner]]
    brow_y = float(p[[mesh.EYE_RIGHT.brow_lower[-1], mesh.EYE_LEFT.brow_lower[-1]], 1].mean())
    eye_y = float(inner[:, 1].mean())
    xs = np.arange(
        inner[:, 0].min() + 0.1 * width_px, inner[:, 0].max() - 0.1 * width_px + 1.0
    ).astype(np.intp)
    top = min(max(brow_y + 0.12 * width_px, eye_y - 0.4 * width_px), eye_y)
    flat = np.ones(len(xs))
    return _darkest_line(
        darkness, xs, top * flat, (eye_y + 0.45 * width_px) * flat, 0.12 * width_px
    )


def _rim(darkness: Array, p: Array, eye: EyeIndices, width_px: float) -> _Line:
    """The darkest line below `eye`, further down than eye bags are."""
    x0, x1 = sorted((float(p[eye.outer, 0]), float(p[eye.inner, 0])))
    xs = np.arange(int(x0), int(x1) + 1)
    lower = p[sorted(eye.lower.tolist(), key=lambda i: float(p[i, 0]))]
    lid_y = np.interp(xs, lower[:, 0], lower[:, 1])
    return _darkest_line(
        darkness, xs, lid_y + 0.28 * width_px, lid_y + 1.1 * width_px, 0.06 * width_px
    )


def _hinge(darkness: Array, p: Array, eye: EyeIndices, width_px: float) -> _Line:
    """The darkest line from the outer corner of `eye` towards the temple."""
    corner = p[eye.outer]
    side = 1.0 if corner[0] > p[eye.inner, 0] else -1.0
    reach = corner[0] + side * np.array([0.12, 0.5]) * width_px
    xs = np.arange(int(reach.min()), int(reach.max()) + 1)
    flat = np.ones(len(xs))
    return _darkest_line(
        darkness,
        xs,
        (corner[1] - 0.3 * width_px) * flat,
        (corner[1] + 0.5 * width_px) * flat,
        0.12 * width_px,
    )


def _darkest_line(
    darkness: Array, xs: NDArray[np.intp], top: Array, bottom: Array, steepest_px: float
) -> _Line:
    """Through the columns `xs`, between `top` and `bottom` ``[n]``, by dynamic programming."""
    height, width = darkness.shape
    keep = (xs >= 0) & (xs < width)
    xs, top, bottom = xs[keep], top[keep].astype(int), bottom[keep].astype(int)
    rows = int((bottom - top).max(initial=0)) + 1
    if len(xs) < 4:
        return _Line(xs[:0], xs[:0], 0.0)
    ys = top[:, None] + np.arange(rows)  # [n, rows]
    values = darkness[ys.clip(0, height - 1), xs[:, None]].clip(max=_MAX_DARKNESS)
    values[(ys > bottom[:, None]) | (ys < 0) | (ys >= height)] = -1.0
    reach = max(int(steepest_px), 1)
    steps = np.arange(-reach, reach + 1)[:, None]  # [steps, 1]
    best = values[0].copy()
    origin = np.zeros((len(xs), rows), np.intp)
    for i in range(1, len(xs)):
        source = np.arange(rows) + (top[i] - top[i - 1]) + steps  # [steps, rows]
        sums = best[source.clip(0, rows - 1)] - 0.02 * np.abs(steps)
        sums[(source < 0) | (source >= rows)] = -np.inf
        choice = sums.argmax(0)
        origin[i] = np.take_along_axis(source, choice[None], 0)[0].clip(0, rows - 1)
        best = sums.max(0) + values[i]
    row = int(best.argmax())
    line = np.zeros(len(xs), np.intp)
    for i in range(len(xs) - 1, -1, -1):
        line[i] = row
        row = int(origin[i, row])
    along = np.arange(len(xs))
    place = ys[along, line].clip(0, height - 1)
    return _Line(xs, place, float(np.percentile(values[along, line], _LEAST_SEEN)))


def _lids(portrait: Portrait, eye: EyeIndices, width_px: float) -> Array:
    """The outline ``[n, 2]`` px of `eye` with its lashes, which go with the lid."""
    p = portrait.landmarks[:, :2]
    corners = sorted((eye.outer, eye.inner), key=lambda i: float(p[i, 0]))
    upper, lower = (
        sorted(ids.tolist(), key=lambda i: float(p[i, 0])) for ids in (eye.upper, eye.lower)
    )
    outline = p[[corners[0], *upper, corners[1], *lower[::-1]]].copy()
    outline[1:8, 1] -= 0.1 * width_px
    outline[9:, 1] += 0.06 * width_px
    return outline


def _thickness(darkness: Array, line: _Line) -> float:
    """The height of `line` px, in the median over its columns."""
    reach = np.arange(darkness.shape[0])[:, None]  # [S, 1]
    columns = darkness[:, line.x]  # [S, n]
    light = columns < 0.5 * darkness[line.y, line.x]
    above = np.where(light & (reach < line.y), reach, -1).max(0)
    below = np.where(light & (reach > line.y), reach, len(reach)).min(0)
    return float(np.median(below - above - 1))


def _grow(darkness: Array, lines: list[_Line], lids: list[Array], width_px: float) -> Mask:
    """All that is dark and hangs together with `lines`, without the `lids`."""
    usual = float(np.median(np.concatenate([darkness[line.y, line.x] for line in lines])))
    # nearer to the eye than frames mostly are, shades and make-up of the lids are dark too
    closer = np.zeros_like(darkness)
    for outline in lids:
        cv2.fillPoly(closer, [np.round(outline).astype(np.int32)], (1.0,))
    reach = int(0.2 * width_px) * 2 + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    least = np.float32(min(usual, 0.75)) * (0.6 + 0.3 * cv2.dilate(closer, disc))
    dark = (darkness > np.maximum(least, 0.08)).astype(np.uint8)
    for line in lines:
        dark[line.y, line.x] = 1
    for outline in lids:
        cv2.fillPoly(dark, [np.round(outline).astype(np.int32)], (0,))
    _, labels = cv2.connectedComponents(dark, connectivity=8)
    found = np.unique(np.concatenate([labels[line.y, line.x] for line in lines]))
    frame = np.isin(labels, found[found > 0]).astype(np.uint8)
    grown = cv2.dilate(frame, np.ones((3, 3), np.uint8))  # its soft edge
    for outline in lids:
        cv2.fillPoly(grown, [np.round(outline).astype(np.int32)], (0,))
    return np.asarray(grown > 0)
