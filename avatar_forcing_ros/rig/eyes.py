"""Lids and gaze, edited in the portrait's own pixels before the head is moved.

The lids are two curtains over an eyeball that stays put: columns of skin above the upper lash
line stretch down with it, those below the lower one move up, and the eyeball shows between. What
lies before the eye, the frame of glasses, is taken off first and put back over the result.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.eyeball import Eyeball, complete_eyeball
from avatar_forcing_ros.rig.face_landmarks import EyeIndices
from avatar_forcing_ros.rig.image_ops import smooth_step
from avatar_forcing_ros.rig.lids import (
    LidCurves,
    below_brow,
    column_weights,
    surroundings,
    trace_lids,
)
from avatar_forcing_ros.rig.portrait import Portrait

Image = NDArray[np.uint8]
Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BLINKS = [coefficients.EXPRESSION_NAMES.index(n) for n in ("blink_left", "blink_right")]
_GAZE_Y = coefficients.EXPRESSION_NAMES.index("gaze_y")
# of the iris' way down and up, that the lids go along; lids that look down cover the eye
_UPPER_FOLLOWS, _LOWER_FOLLOWS = (0.8, 0.5), (0.4, 0.2)
_OPEN = 0.14  # of the eye's width: an eye as open as this moves freely
_MOST_CALM = 0.85  # of a closed lid that is drawn without its folds
_LEAST_SIDE_PX = 4  # of the part of an eye that lies within the image


class EyePainter:
    """One eye of a portrait; ``paint`` draws it with any lids and gaze.

    `part` are the rows and columns of the portrait that it draws; `contrast` 0…1 tells how surely
    an iris is darker than its white, 0.5 where nothing is known.
    """

    def __init__(
        self, portrait: Portrait, basis: Array, eye: EyeIndices, glasses: Mask | None = None
    ) -> None:
        """`basis` ``[17, 478, 3]`` px; `glasses` ``[S, S]`` the pixels of a frame, if any."""
        p = portrait.landmarks
        around = surroundings(portrait, eye)
        lids = trace_lids(portrait, eye, around)
        ends = lids.upper[[0, -1]]  # [2, 2] the corners, left and right in the image
        self.contrast = 0.5
        self._gaze_share = 1.0
        self.width_px = float(ends[1, 0] - ends[0, 0])
        margin = 0.22 * self.width_px
        top = float(p[eye.brow_lower, 1].min()) - 2.0
        bottom = float(p[eye.lower, 1].max()) + 0.45 * self.width_px
        size = portrait.size_px
        x0, x1 = int(max(ends[0, 0] - margin, 0)), int(min(ends[1, 0] + margin + 2, size))
        y0, y1 = int(max(top, 0)), int(min(bottom + 2, size))
        self.part = np.s_[y0:y1, x0:x1]
        self._is_seen = min(x1 - x0, y1 - y0) >= _LEAST_SIDE_PX
        if not self._is_seen:
            return  # beyond the image's border: there is nothing to draw
        self._origin = np.array([x0, y0], np.float32)
        xs = np.arange(x1 - x0, dtype=np.float32)
        self._y = np.arange(y1 - y0, dtype=np.float32)[:, None]  # [h, 1]
        self._x = np.ascontiguousarray(np.broadcast_to(xs, (len(self._y), len(xs))))  # [h, w]
        self._set_lids(lids, basis, eye, xs, margin)
        brow = sorted(eye.brow_lower.tolist(), key=lambda i: float(p[i, 0]))
        brow_y = np.interp(xs + x0, p[brow, 0], p[brow, 1]).astype(np.float32)
        self._top_y = below_brow(
            around, xs + np.float32(x0), brow_y,
            self._upper_y + np.float32(y0), self.width_px,
        ) - np.float32(y0)  # fmt: skip
        self._bottom_y = np.full_like(xs, bottom - y0)

        self._rest = portrait.image[self.part].copy()
        self._frame = None if glasses is None else _alpha(glasses[self.part])
        self._skin = self._rest if self._frame is None else _without(self._rest, self._frame)
        if self._frame is not None:
            self._beside_frame = np.float32(1.0) - self._frame
        self._edge_px = _edge_width(self._rest, 0.12 * self.width_px)
        self._calm = self._calm_lid()
        ball = self._eyeball(p[eye.iris, :2] - self._origin)
        self._ball, self._radius_px = ball.image, ball.radius_px
        self.contrast = ball.contrast
        self._gaze_moves = basis[:, eye.iris[0], :2].copy()  # [17, 2]

    def set_turn(self, share: float) -> None:
        """Follow the gaze by `share` 0…1 only; both eyes of a face should turn alike."""
        self._gaze_share = float(share)

    def _set_lids(
        self, lids: LidCurves, basis: Array, eye: EyeIndices, xs: Array, margin: float
    ) -> None:
        """Where the lids are at rest and how far each coefficient moves them, by columns `xs`."""
        upper, lower = lids.upper - self._origin, lids.lower - self._origin
        to_upper = column_weights(upper[:, 0], xs)  # [w, 9]
        to_lower = column_weights(lower[:, 0], xs)
        self._upper_y = to_upper @ upper[:, 1]  # [w] the lash line at rest
        self._lower_y = np.maximum(to_lower @ lower[:, 1], self._upper_y)
        gap = self._lower_y - self._upper_y  # [w]
        self._gap_px = max(lids.gap_px, float(gap.max()))
        # an eye that is closed in the portrait has nothing behind its lids: they stay
        self._freedom = float(np.clip(self._gap_px / (_OPEN * self.width_px), 0.0, 1.0)) ** 2
        beside = np.maximum(upper[0, 0] - xs, xs - upper[-1, 0]).clip(0.0)
        fade = smooth_step(1.0 - beside / (0.8 * margin))  # 1 over the eye, 0 beside it
        still = self._freedom * fade
        self._upper_moves = still * (_still_ends(basis[:, lids.upper_ids, 1]) @ to_upper.T)
        self._lower_moves = still * (_still_ends(basis[:, lids.lower_ids, 1]) @ to_lower.T)
        self._upper_moves[_GAZE_Y] = self._lower_moves[_GAZE_Y] = 0.0
        # a blink closes each column of the image; the corners give way a little, as lashes do
        sag = 0.12 * self._gap_px * fade * (1.0 - gap / (0.5 * self._gap_px)).clip(0.0)
        for k in _BLINKS:
            if np.abs(basis[k, eye.upper]).max() > 0.0:
                self._upper_moves[k] = 0.9 * gap + sag  # [w]
                self._lower_moves[k] = -0.1 * gap + sag
        self._bow = fade * smooth_step(gap / (0.8 * self._gap_px))  # [w] follows the gaze
        self._rim_px = max(0.06 * self._gap_px, 1.0)  # of the opening, that moves with the lid
        self._lash_px = 0.06 * self.width_px  # above it, too: lashes are no skin to stretch
        self._inside = np.clip(gap / (0.3 * self._gap_px), 0.0, 1.0)  # [w] 0 beside the eye

    def _calm_lid(self) -> Image:
        """The skin of the upper lid without what would be drawn out to stripes: ``[h, w, 3]``.

        Folds, the tips of lashes and the brow's lowest hair; the lashes' own line stays.
        """
        skin = self._skin.astype(np.float32)
        low = self._upper_y - self._lash_px  # [w]
        edge = np.float32(max(0.06 * self.width_px, 1.0))
        zone = np.clip((self._y - self._top_y) / edge, 0.0, 1.0)
        zone *= np.clip((low - self._y) / edge, 0.0, 1.0) * self._inside  # [h, w]
        if not (zone > 0.5).any():
            return self._skin
        grey = skin.mean(-1)
        usual = float(np.percentile(grey[zone > 0.5], 60))
        known = zone * np.clip(grey / max(usual, 1.0) * 2.0 - 1.0, 0.02, 1.0) ** 2
        blur = (0, 0), max(0.06 * self.width_px, 0.6)
        colour = cv2.GaussianBlur(skin * known[..., None], *blur)
        colour /= cv2.GaussianBlur(known, *blur)[..., None] + 1e-6
        grain = skin - cv2.GaussianBlur(skin, (0, 0), 1.2)
        colour += 0.3 * grain
        soft = cv2.GaussianBlur(zone, (0, 0), max(0.02 * self.width_px, 0.4))[..., None]
        skin += soft * (colour - skin)
        # lights in the eye that lie on its rim are no lash
        speck = np.ones((1, int(0.2 * self.width_px) | 1), np.uint8)
        is_rim = (self._y > self._upper_y - self._rim_px) & (self._inside > 0.3)
        skin[is_rim] = cv2.morphologyEx(skin, cv2.MORPH_OPEN, speck)[is_rim]
        return np.asarray(np.clip(skin + 0.5, 0.0, 255.0), np.uint8)

    def _eyeball(self, iris: Array) -> Eyeball:
        """The eyeball behind the lids; `iris` ``[5, 2]`` px in the eye's own part of the image."""
        rest = self._skin.astype(np.float32)
        edge = self._rim_px + 0.08 * self._gap_px  # lashes and the lid's shadow left out
        seen = (self._y > self._upper_y + edge) & (self._y < self._lower_y - edge)
        self._iris = iris[0]
        offset = np.dstack([self._x, np.broadcast_to(self._y, self._x.shape)]) - self._iris
        radius_px = max(float(np.linalg.norm(iris[1:] - self._iris, axis=1).mean()), 1.0)
        under = (self._y > self._lower_y + edge) & (self._y < self._lower_y + 4.0 * edge)
        lid = rest[under & (self._inside > 0.5)]
        skin = np.median(lid if len(lid) else rest.reshape(-1, 3), axis=0)
        return complete_eyeball(
            rest, seen, offset.astype(np.float32), radius_px, self.width_px, skin
        )

    def paint(self, image: Image, expression: Array) -> None:
        """Draw the eye for `expression` ``[17]`` into `image` ``[S, S, 3]``, in place."""
        if not self._is_seen:
            return
        roi = image[self.part]
        gaze = self._gaze_share * self._freedom * (expression @ self._gaze_moves)  # [2] px
        down = int(gaze[1] < 0.0)  # 0 down, 1 up
        upper_move = expression @ self._upper_moves + _UPPER_FOLLOWS[down] * gaze[1] * self._bow
        lower_move = expression @ self._lower_moves + _LOWER_FOLLOWS[down] * gaze[1] * self._bow
        if max(np.abs(upper_move).max(), np.abs(lower_move).max(), np.abs(gaze).max()) < 1e-3:
            roi[:] = self._rest
            return
        low = self._lower_y + lower_move
        up = np.minimum(self._upper_y + upper_move, low)
        upper_move = up - self._upper_y
        # once lids or gaze move, nothing of the eyeball at rest may stick to the lids
        closing = np.clip(upper_move / self._gap_px, 0.0, 1.0)  # [w]
        turn = min(float(np.hypot(*gaze)) / (0.15 * self._radius_px), 1.0)
        out = self._draw_lids(up, low, upper_move, lower_move, closing, turn, gaze)
        out += 0.5
        np.clip(out, 0.0, 255.0, out=out)
        roi[:] = out.astype(np.uint8)
        if self._frame is not None:
            roi[:] = cv2.blendLinear(self._rest, roi, self._frame, self._beside_frame)

    def _draw_lids(
        self, up: Array, low: Array, upper_move: Array, lower_move: Array, closing: Array,
        turn: float, gaze: Array,
    ) -> Array:  # fmt: skip
        """Both lids, their edges at `up` and `low` ``[w]``, and the eyeball: ``[h, w, 3]``."""
        y, rim = self._y, np.float32(self._rim_px)
        clean = self._inside * np.maximum(np.clip(3.0 * closing, 0.0, 1.0), turn)
        stretch = np.maximum(up - rim - self._lash_px - self._top_y, 1.0)
        fade = np.clip((y - self._top_y) / stretch, 0.0, 1.0)  # [h, w]
        lid_end = self._upper_y + rim + (1.0 - clean) * 9.0
        calm = _MOST_CALM * float(smooth_step(closing.max() / 0.8))
        source = np.asarray(
            cv2.addWeighted(self._skin, 1.0 - calm, self._calm, calm, 0.0), np.uint8
        )
        lid = _sample(source, self._x, np.minimum(y - upper_move * fade, lid_end))
        fade = np.clip((self._bottom_y - y) / (self._bottom_y - low - rim), 0.0, 1.0)
        under = np.maximum(0.22 * closing, 0.08 * turn * self._inside) * self._gap_px
        keep = 9.0 * (1.0 - np.maximum(clean, np.clip(3.0 * closing, 0.0, 1.0)))
        skin_end = self._lower_y + under - rim - keep
        skin = _sample(self._skin, self._x, np.maximum(y - lower_move * fade, skin_end))

        over_skin = np.clip(((low - rim) - y) / self._edge_px + 0.5, 0.0, 1.0)
        under_lid = np.clip((y - (up + rim)) / self._edge_px + 0.5, 0.0, 1.0)  # 0 on the upper lid
        if (over_skin * under_lid).any():
            shadow = self._shadow(y - up - rim, 0.35 * closing + 0.3 * turn * (1.0 - closing))
            shadow *= self._shadow(low - rim - y, 0.15 * turn)
            ball = self._turned_eyeball(gaze, turn)
            ball *= shadow[..., None]
            ball -= skin
            ball *= over_skin[..., None]
            skin += ball
        skin -= lid
        skin *= under_lid[..., None]
        lid += skin
        return lid

    def _turned_eyeball(self, gaze: Array, turn: float) -> Array:
        """The eyeball ``[h, w, 3]`` float32 with its iris moved by `gaze` ``[2]`` px."""
        if turn <= 0.0:
            return self._skin.astype(np.float32)
        centre = self._iris + gaze
        dx, dy = self._x - centre[0], self._y - centre[1]
        away = (np.sqrt(dx * dx + dy * dy) / self._radius_px - 1.1) / 2.0
        weight = np.float32(1.0) - smooth_step(away)
        x, y = self._x - weight * gaze[0], self._y - weight * gaze[1]
        ball = _sample(self._skin, x, y)
        # the portrait's own pixels at rest and in the corners, the completed eyeball once it turns
        share = turn * np.clip(2.0 * weight, 0.0, 1.0)[..., None]
        ball += share * (_sample(self._ball, x, y) - ball)
        return ball

    def _shadow(self, inwards: Array, depth: Array | float) -> Array:
        """Brightness ``[h, w]`` of the eyeball `inwards` px from a lid that darkens by `depth`."""
        return np.asarray(
            1.0 - depth * np.exp(inwards.clip(0.0) / (-0.2 * self._gap_px)), np.float32
        )


def _sample(image: Image, x: Array, y: Array) -> Array:
    """`image` ``[h, w, 3]`` at pixel places `x`, `y` ``[h, w]``, float32; the edge goes on."""
    pixels = cv2.remap(
        image, np.asarray(x, np.float32), np.asarray(y, np.float32), cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return pixels.astype(np.float32)


def _edge_width(image: Image, most_px: float) -> np.float32:
    """How many pixels the sharpest edges of `image` ``[h, w, 3]`` take, 1 to `most_px`."""
    grey = image.astype(np.float32).mean(-1)
    low, high = np.percentile(grey, [2, 98])
    steps = np.hypot(*np.gradient(grey))
    steepest = max(float(np.percentile(steps, 99.5)), 1e-3)
    return np.float32(np.clip(0.5 * float(high - low) / steepest, 1.0, max(most_px, 1.0)))


def _still_ends(moves: Array) -> Array:
    """Lid moves ``[17, 9]`` with the eye's corners at rest."""
    out = moves.copy()
    out[:, [0, -1]] = 0.0
    return out


def _alpha(frame: Mask) -> Array | None:
    """How far each place ``[h, w]`` shows the `frame`, softly beside it; None without any."""
    if not frame.any():
        return None
    solid = frame.astype(np.float32)
    return np.maximum(solid, cv2.GaussianBlur(solid, (0, 0), 1.0))


def _without(image: Image, alpha: Array) -> Image:
    """`image` ``[h, w, 3]`` with what is behind the frame made up from beside it."""
    hidden = (alpha >= 1.0).astype(np.uint8)
    return np.asarray(cv2.inpaint(image, hidden, 3.0, cv2.INPAINT_TELEA), np.uint8)
