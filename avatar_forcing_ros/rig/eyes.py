"""Lids and gaze, edited in the portrait's own pixels before the head is moved.

The lids are two curtains over an eyeball that stays put: columns of skin above the upper lash
line stretch down with it, those below the lower one move up, and the eyeball shows between. The
eyeball is the portrait's own, continued behind the lids: the iris by its mean colour at each
radius, the white by what is seen of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.face_landmarks import EyeIndices
from avatar_forcing_ros.rig.image_ops import remap, sample, smooth_step
from avatar_forcing_ros.rig.portrait import Portrait

Image = NDArray[np.uint8]
Array = NDArray[np.float32]


class EyePainter:
    """One eye of a portrait; ``paint`` draws it with any lids and gaze."""

    def __init__(self, portrait: Portrait, basis: Array, eye: EyeIndices) -> None:
        p = portrait.landmarks
        lids = trace_lids(portrait, eye)
        upper, lower = lids.upper, lids.lower
        ends = lids.upper[[0, -1]]  # [2, 2] the corners, left and right in the image
        self.width_px = float(ends[1, 0] - ends[0, 0])
        margin = 0.22 * self.width_px
        top = float(p[eye.brow_lower, 1].min()) - 2.0
        bottom = float(p[eye.lower, 1].max()) + 0.45 * self.width_px
        size = portrait.size_px
        self.x0 = int(max(ends[0, 0] - margin, 0))
        self.x1 = int(min(ends[1, 0] + margin + 2, size))
        self.y0, self.y1 = int(max(top, 0)), int(min(bottom + 2, size))
        xs = np.arange(self.x0, self.x1, dtype=np.float32)
        self._y = np.arange(self.y0, self.y1, dtype=np.float32)[:, None]  # [h, 1]
        self._x = np.broadcast_to(xs, (len(self._y), len(xs)))  # [h, w]

        to_upper = _column_weights(upper[:, 0], xs)  # [w, 9]
        to_lower = _column_weights(lower[:, 0], xs)
        self._upper_y = to_upper @ upper[:, 1]  # [w] the lash line at rest
        self._lower_y = np.maximum(to_lower @ lower[:, 1], self._upper_y)
        gap = self._lower_y - self._upper_y  # [w]
        self._gap_px = float(gap.max())
        beside = np.maximum(ends[0, 0] - xs, xs - ends[1, 0]).clip(0.0)
        fade = smooth_step(1.0 - beside / (0.8 * margin))  # 1 over the eye, 0 beside it
        self._upper_moves = fade * (_still_ends(basis[:, lids.upper_ids, 1]) @ to_upper.T)
        self._lower_moves = fade * (_still_ends(basis[:, lids.lower_ids, 1]) @ to_lower.T)
        # a blink closes each column of the image; the corners give way a little, as lashes do
        sag = 0.12 * self._gap_px * fade * (1.0 - gap / (0.5 * self._gap_px)).clip(0.0)
        for k in (coefficients.EXPRESSION_NAMES.index(n) for n in ("blink_left", "blink_right")):
            if np.abs(basis[k, eye.upper]).max() > 0.0:
                self._upper_moves[k] = 0.9 * gap + sag  # [w]
                self._lower_moves[k] = -0.1 * gap + sag
        self._gaze_moves = basis[:, eye.iris[0], :2]  # [17, 2]
        brow = sorted(eye.brow_lower.tolist(), key=lambda i: float(p[i, 0]))
        brow_y = np.interp(xs, p[brow, 0], p[brow, 1]).astype(np.float32)
        self._top_y = np.minimum(brow_y, self._upper_y - 0.25 * self.width_px)
        self._bottom_y = np.full_like(brow_y, bottom)

        self._lash_px = max(0.06 * self._gap_px, 1.0)  # rim of the opening that moves with the lid
        self._inside = np.clip(gap / (0.3 * self._gap_px), 0.0, 1.0)  # [w] 0 beside the eye
        self._iris = p[eye.iris[0], :2]
        self._radius_px = float(np.linalg.norm(p[eye.iris[1:], :2] - self._iris, axis=1).mean())
        self._skin = portrait.image
        self._rest = portrait.image[self.y0 : self.y1, self.x0 : self.x1].copy()
        self._ball = self._rest  # what the opening shows while the gaze rests
        self._whole_ball = self._complete_eyeball()

    def paint(self, image: Image, expression: Array) -> None:
        """Draw the eye for `expression` ``[17]`` into `image` ``[S, S, 3]``, in place."""
        roi = image[self.y0 : self.y1, self.x0 : self.x1]
        gaze = expression @ self._gaze_moves  # [2] px
        upper_move = expression @ self._upper_moves  # [w] px
        lower_move = expression @ self._lower_moves
        if max(np.abs(upper_move).max(), np.abs(lower_move).max(), np.abs(gaze).max()) < 1e-3:
            roi[:] = self._rest
            return
        low = self._lower_y + lower_move
        up = np.minimum(self._upper_y + upper_move, low)
        upper_move = up - self._upper_y
        y, rim = self._y, self._lash_px

        # once lids or gaze move, nothing of the eyeball at rest may stick to the lids
        closing = np.clip(upper_move / self._gap_px, 0.0, 1.0)  # [w]
        turn = min(float(np.hypot(*gaze)) / (0.15 * self._radius_px), 1.0)
        clean = self._inside * np.maximum(np.clip(3.0 * closing, 0.0, 1.0), turn)
        fade = np.clip((y - self._top_y) / (up - rim - self._top_y), 0.0, 1.0)  # [h, w]
        lid_end = self._upper_y + rim + (1.0 - clean) * 9.0
        lid = self._sample(self._skin, self._x, np.minimum(y - upper_move * fade, lid_end))
        fade = np.clip((self._bottom_y - y) / (self._bottom_y - low - rim), 0.0, 1.0)
        under = np.maximum(0.22 * closing, 0.08 * turn * self._inside) * self._gap_px
        keep = 9.0 * (1.0 - np.maximum(clean, np.clip(3.0 * closing, 0.0, 1.0)))
        skin_end = self._lower_y + under - rim - keep
        skin = self._sample(self._skin, self._x, np.maximum(y - lower_move * fade, skin_end))
        shadow = self._shadow(y - up - rim, 0.35 * closing + 0.3 * turn * (1.0 - closing))
        shadow *= self._shadow(low - rim - y, 0.15 * turn)
        ball = self._turned_eyeball(gaze, turn) * shadow[..., None]

        under_lid = np.clip(y - (up + rim) + 0.5, 0.0, 1.0)[..., None]  # 0 on the upper lid
        over_skin = np.clip((low - rim) - y + 0.5, 0.0, 1.0)[..., None]
        skin += over_skin * (ball - skin)
        lid += under_lid * (skin - lid)
        np.clip(lid + 0.5, 0.0, 255.0, out=lid)
        roi[:] = lid.astype(np.uint8)

    def _sample(self, image: Image, x: Array, y: Array) -> Array:
        return sample(image, np.dstack([x, y]).astype(np.float32), cv2.INTER_CUBIC).astype(
            np.float32
        )

    def _turned_eyeball(self, gaze: Array, turn: float) -> Array:
        """The eyeball ``[h, w, 3]`` float32 with its iris moved by `gaze` ``[2]`` px."""
        centre = self._iris + gaze
        dx, dy = self._x - centre[0], self._y - centre[1]
        away = (np.sqrt(dx * dx + dy * dy) / self._radius_px - 1.1) / 2.0
        t = np.clip(away, 0.0, 1.0)
        weight = 1.0 - t * t * (3.0 - 2.0 * t)
        x = self._x - self.x0 - weight * gaze[0]
        y = self._y - self.y0 - weight * gaze[1]
        ball = self._sample(self._ball, x.astype(np.float32), y)
        # the portrait's own pixels at rest and in the corners, the completed eyeball once it turns
        if turn > 0.0:
            share = turn * np.clip(2.0 * weight, 0.0, 1.0)[..., None]
            ball += share * (self._sample(self._whole_ball, x.astype(np.float32), y) - ball)
        return ball

    def _shadow(self, inwards: Array, depth: Array | float) -> Array:
        """Brightness ``[h, w]`` of the eyeball `inwards` px from a lid that darkens by `depth`."""
        return np.asarray(
            1.0 - depth * np.exp(inwards.clip(0.0) / (-0.2 * self._gap_px)), np.float32
        )

    def _complete_eyeball(self) -> Image:
        """The eyeball as if there were no lids, ``[h, w, 3]``; as seen where it is seen."""
        rest = self._rest.astype(np.float32)
        edge = self._lash_px + 0.08 * self._gap_px  # lashes and the lid's shadow left out
        seen = (self._y > self._upper_y + edge) & (self._y < self._lower_y - edge)
        distance = np.hypot(self._x - self._iris[0], self._y - self._iris[1])
        self._radius_px = self._iris_radius(rest, seen, distance)
        radius = distance / self._radius_px
        grey = rest.mean(-1)
        bright = grey > 0.72 * np.percentile(grey[seen], 95) if seen.any() else seen
        white = _spread_colour(rest, seen & bright & (radius > 1.1), 0.05 * self.width_px)
        iris = _by_radius(rest, seen & (radius < 1.05), radius)
        disc = np.clip((1.04 - radius) * self._radius_px / 1.5 + 0.5, 0.0, 1.0)[..., None]
        whole = white + disc * (iris - white)
        # the seam between what is seen and what is made up
        share = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 0.8)[..., None]
        out = whole + share * (rest - whole)
        return np.asarray(np.clip(out + 0.5, 0, 255), np.uint8)

    def _iris_radius(self, image: Array, seen: NDArray[np.bool_], distance: Array) -> float:
        """Where the iris turns white to its left and right, px; else the landmarks'."""
        sides = seen & (np.abs(self._y - self._iris[1]) < 0.6 * self._radius_px)
        tries = np.linspace(0.75, 1.4, 27) * self._radius_px
        grey, band = image.mean(-1), 0.14 * self._radius_px
        best, found = 8.0, self._radius_px
        for radius in tries:
            inner = sides & (distance < radius) & (distance > radius - band)
            outer = sides & (distance > radius) & (distance < radius + band)
            if inner.sum() > 3 and outer.sum() > 3:
                step = float(grey[outer].mean() - grey[inner].mean())
                if step > best:
                    best, found = step, float(radius)
        return found


def _column_weights(knots_x: Array, xs: Array) -> Array:
    """Matrix ``[w, n]`` that draws a smooth curve through values at `knots_x` ``[n]``."""
    # a corner may lie inside of its lid: knots that go back become a step, never a tie
    x = np.maximum.accumulate(knots_x) + 1e-3 * np.arange(len(knots_x))
    spline = CubicSpline(x, np.eye(len(x)), bc_type="natural")
    return np.asarray(spline(np.clip(xs, x[0], x[-1])), np.float32)


def _still_ends(moves: Array) -> Array:
    """Lid moves ``[17, 9]`` with the eye's corners at rest."""
    out = moves.copy()
    out[:, [0, -1]] = 0.0
    return out


def _spread_colour(image: Array, known: NDArray[np.bool_], radius_px: float) -> Array:
    """Each place coloured by the `known` places around it, ``[h, w, 3]``."""
    total = np.zeros_like(image)
    weight = np.zeros(image.shape[:2], np.float32)
    mask = known.astype(np.float32)
    for scale, trust in ((1.0, 1.0), (3.0, 1e-2), (12.0, 1e-4)):
        blur = (0, 0), radius_px * scale
        weight += trust * cv2.GaussianBlur(mask, *blur)
        total += trust * cv2.GaussianBlur(image * mask[..., None], *blur)
    if not known.any():
        return np.full_like(image, 225.0)
    return np.asarray(total / (weight[..., None] + 1e-9), np.float32)


def _by_radius(image: Array, known: NDArray[np.bool_], radius: Array) -> Array:
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


@dataclass(frozen=True)
class LidCurves:
    """Both lash lines, from the image's left to its right, corners included.

    `upper`, `lower` ``[9, 2]`` px; `upper_ids`, `lower_ids` the landmarks they come from.
    """

    upper: Array
    lower: Array
    upper_ids: list[int]
    lower_ids: list[int]


def trace_lids(portrait: Portrait, eye: EyeIndices) -> LidCurves:
    """The lash lines of `eye`, fitted to the image around its landmarks."""
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
