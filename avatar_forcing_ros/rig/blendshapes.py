"""What each expression coefficient does to the 478 landmarks of a face.

``displacement_basis`` is the only definition of the expression coefficients: the renderer applies
it forwards, perception inverts it by least squares. It is linear except for one thing, lips that
meet, which is ``seal_lips``. For the axes of landmarks see `face_landmarks`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import EXPRESSION, EXPRESSION_NAMES
from avatar_forcing_ros.rig.face_landmarks import (
    CHIN,
    EYE_LEFT,
    EYE_RIGHT,
    INNER_LOWER,
    INNER_UPPER,
    LANDMARK_COUNT,
    LIP_LOWER,
    LIP_UPPER,
    LIPS,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_BASE,
    EyeIndices,
    FaceFrame,
    Indices,
    check_landmarks,
    face_frame,
)
from avatar_forcing_ros.rig.image_ops import smooth_step
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]

# One cell of the lip profiles: position along the lip, -1 right corner … 1 left corner.
_ALONG = np.linspace(-1.0, 1.0, 11, dtype=np.float32)
_BOW = np.cos(0.5 * np.pi * _ALONG).clip(0.0) ** 0.8  # 0 at the corners, 1 in the middle

JAW_LIP_DROP = 0.145  # face heights that jaw_open = 1 lowers the middle of the lower lip
SEAL_UPPER_SHARE = 0.3  # of a closing gap, the part that the upper lip travels
SEAL_JAW = 0.3  # lips_close = 1 undoes the lip part of this much jaw_open


class _Shaper:
    """Collects the displacement of one coefficient in face axes (left, down, in), pixels."""

    def __init__(self, local: Array, frame: FaceFrame) -> None:
        self.p = local  # [478, 3]
        self.width, self.height = frame.width_px, frame.height_px
        self.moves = np.zeros((LANDMARK_COUNT, 3), np.float32)

    def near(self, index: int, radius: float) -> Array:
        """Bell ``[468]`` around a landmark; `radius` in face widths, measured on the face."""
        d = (self.p[:468] - self.p[index])[:, :2] / (radius * self.width)
        return np.asarray(np.exp(-0.5 * (d**2).sum(1)), np.float32)

    def add(
        self, ids: Indices | slice, weight: NDArray[Any], left: float = 0.0,
        down: float = 0.0, inward: float = 0.0,
    ) -> None:  # fmt: skip
        """Move `ids` by ``weight * (left * width, down * height, inward * width)``."""
        step = np.array([left * self.width, down * self.height, inward * self.width], np.float32)
        self.moves[ids] += np.asarray(weight, np.float32)[..., None] * step

    def lips(
        self, rows: Indices, weight: NDArray[Any], left: float = 0.0, down: float = 0.0,
        inward: float = 0.0, inner: float = 1.0,
    ) -> None:  # fmt: skip
        """Move lip `rows` ``[4, 11]`` with a profile; `inner` scales towards the inner row."""
        for row, scale in zip(rows, np.linspace(1.0, inner, 4), strict=True):
            # the corners belong to both lips: each lip moves them by half
            share = np.where(np.abs(_ALONG) == 1.0, 0.5, 1.0)
            self.add(row, np.asarray(weight) * share * scale, left, down, inward)

    def drag(self, leaders: Indices, skin: Indices, radius: float) -> None:
        """Let `skin` follow the nearest `leaders`, less with distance; `radius` face widths."""
        d = (self.p[skin, None, :2] - self.p[None, leaders, :2]) / (radius * self.width)
        bell = np.exp(-0.5 * (d**2).sum(-1)) + 1e-12  # [n, leaders]
        follow = bell.max(1, keepdims=True) / bell.sum(1, keepdims=True)
        self.moves[skin] += follow * (bell @ self.moves[leaders])

    def drag_skin(self, radius: float) -> None:
        """Let the skin around the mouth follow the outer lip row on its own side."""
        skin = np.setdiff1d(np.arange(468), LIPS)
        middle = 0.5 * (self.p[MOUTH_RIGHT, 1] + self.p[MOUTH_LEFT, 1])
        above = self.p[skin, 1] < middle
        self.drag(LIP_UPPER[0], skin[above], radius)
        self.drag(LIP_LOWER[0], skin[~above], radius)


def _jaw_open(s: _Shaper) -> None:
    p = s.p
    s.lips(LIP_LOWER, _BOW, down=JAW_LIP_DROP, inward=0.03)
    s.lips(LIP_UPPER, _BOW, down=-0.008)
    for rows in (LIP_UPPER, LIP_LOWER):
        s.lips(rows, np.abs(_ALONG) ** 3, down=0.04)
        s.lips(rows, -_ALONG * np.abs(_ALONG), left=0.036)
    skin = np.setdiff1d(np.arange(468), LIPS)
    corner = 0.5 * (p[MOUTH_RIGHT] + p[MOUTH_LEFT])
    half_mouth = 0.5 * (p[MOUTH_LEFT, 0] - p[MOUTH_RIGHT, 0])
    across = np.abs(p[skin, 0] - corner[0])
    # beside the mouth the cheek stretches from the nose down; below it the chin moves as one
    beside = _ramp(p[skin, 1], p[NOSE_BASE, 1], p[CHIN, 1])
    below = (p[skin, 1] > corner[1]).astype(np.float32)
    mix = _ramp(across, 0.5 * half_mouth, 1.3 * half_mouth)
    hinge = 1.0 - _ramp(across, 0.15 * s.width, 0.52 * s.width)
    s.add(skin, (below * (1 - mix) + beside * mix) * hinge, down=0.125, inward=0.04)


def _lips_close(s: _Shaper) -> None:
    gap = (s.p[INNER_LOWER, 1] - s.p[INNER_UPPER, 1]).clip(0) / s.height  # [11]
    closing = gap + SEAL_JAW * (JAW_LIP_DROP + 0.008) * _BOW
    s.lips(LIP_UPPER, closing, down=SEAL_UPPER_SHARE, inner=1.25)
    s.lips(LIP_LOWER, closing, down=-(1 - SEAL_UPPER_SHARE), inner=1.0)
    s.moves[INNER_UPPER, 1] *= 1 / 1.25  # the inner rows meet exactly, the outer ones press
    s.drag_skin(0.04)


def _mouth_wide(s: _Shaper) -> None:
    for rows, thin in ((LIP_UPPER, 0.006), (LIP_LOWER, -0.008)):
        s.lips(rows, _ALONG * np.abs(_ALONG) ** 0.5, left=0.05, inward=0.0)
        s.lips(rows, np.abs(_ALONG), inward=0.02)
        s.lips(rows, _BOW, down=thin, inner=0.0)
    s.drag_skin(0.13)


def _mouth_pucker(s: _Shaper) -> None:
    for rows, swell in ((LIP_UPPER, -0.012), (LIP_LOWER, 0.014)):
        s.lips(rows, -_ALONG, left=0.085)
        s.lips(rows, 1.0 - 0.5 * np.abs(_ALONG), inward=-0.05)
        s.lips(rows, _BOW, down=swell, inner=0.15)
    s.drag_skin(0.12)


def _smile(s: _Shaper, side: int) -> None:
    r = (side * _ALONG).clip(0)
    for rows in (LIP_UPPER, LIP_LOWER):
        s.lips(rows, r**1.2, left=side * 0.048, inward=0.015)
        s.lips(rows, r**1.7, down=-0.055)
        s.lips(rows, _BOW * (side * _ALONG > -0.3).astype(np.float32), down=0.004)
    s.drag_skin(0.12)
    cheek = 425 if side > 0 else 205
    s.add(slice(0, 468), s.near(cheek, 0.09) * ~_is_lip(), left=side * 0.012, down=-0.025)


def _frown(s: _Shaper) -> None:
    for rows in (LIP_UPPER, LIP_LOWER):
        s.lips(rows, np.abs(_ALONG) ** 2, down=0.045)
        s.lips(rows, _BOW, down=-0.006)
    s.drag_skin(0.12)


def _upper_lip_raise(s: _Shaper) -> None:
    s.lips(LIP_UPPER, _BOW**0.8, down=-0.04, inner=1.1)
    s.drag_skin(0.06)
    for wing in (129, 358):
        s.add(slice(0, 468), s.near(wing, 0.05) * ~_is_lip(), down=-0.012)


def _lower_lip_down(s: _Shaper) -> None:
    s.lips(LIP_LOWER, _BOW**0.8, down=0.042, inner=1.1)
    s.drag_skin(0.06)


def _blink(s: _Shaper, eye: EyeIndices) -> None:
    gap = s.p[eye.lower] - s.p[eye.upper]  # [7, 3]
    s.moves[eye.upper] += 0.9 * gap
    s.moves[eye.lower] -= 0.1 * gap
    s.moves[eye.upper_ring] += 0.4 * gap


def _gaze(s: _Shaper, left: float, up: float) -> None:
    for eye in (EYE_RIGHT, EYE_LEFT):
        width = np.linalg.norm(s.p[eye.inner] - s.p[eye.outer])
        s.moves[eye.iris] += width * np.array([left, -up, 0.0], np.float32)
        # the lids follow a look up or down
        bow = np.sin(np.pi * np.arange(1, 8) / 8).astype(np.float32)[:, None]
        follow = width * np.array([0.0, -up, 0.0], np.float32)
        s.moves[eye.upper] += 0.45 * bow * follow
        s.moves[eye.lower] += 0.15 * bow * follow


def _brow_up(s: _Shaper, eye: EyeIndices) -> None:
    weight = np.array([0.75, 1.0, 1.0, 0.9, 0.8], np.float32)
    s.add(eye.brow_upper, weight, down=-0.043)
    s.add(eye.brow_lower, weight, down=-0.032)
    brow_y = s.p[eye.brow_upper, 1].max()
    s.drag(eye.brow_upper, np.flatnonzero(~_is_brow() & (s.p[:468, 1] < brow_y)), 0.12)
    for row, down in ((eye.brow_ring, -0.016), (eye.upper_ring, -0.006), (eye.upper, 0.0)):
        s.moves[row] = 0.0  # dragged along, but the lids hold back
        s.add(row, np.ones(7), down=down)
    s.add(eye.upper, np.sin(np.pi * np.arange(1, 8) / 8), down=-0.006)


def _brow_furrow(s: _Shaper) -> None:
    weight = np.array([0.1, 0.3, 0.55, 0.85, 1.0], np.float32)
    for side, eye in ((-1, EYE_RIGHT), (1, EYE_LEFT)):
        for row in (eye.brow_upper, eye.brow_lower):
            s.add(row, weight, left=-side * 0.022, down=0.03)
        s.add(eye.upper_ring, np.linspace(0.0, 1.0, 7), down=0.008)


def _cheek_raise(s: _Shaper) -> None:
    for eye, cheek in ((EYE_RIGHT, 50), (EYE_LEFT, 280)):
        s.add(slice(0, 468), s.near(cheek, 0.1) * ~_is_lip(), down=-0.035, inward=-0.01)
        gap = s.p[eye.lower] - s.p[eye.upper]
        for row, share in ((eye.lower, 0.22), (eye.lower_ring, 0.2), (eye.upper, -0.04)):
            s.moves[row] = -share * gap  # in place of the bell: lids close by their own gap


def displacement_basis(landmarks_px: Array) -> Array:
    """What each expression coefficient does at value 1: ``[17, 478, 3]`` float32, pixels.

    In the image axes of `landmarks_px` ``[478, 3]``, which should be a neutral face: the moves
    scale with the face's size and turn with its own axes, and blink, cheek_raise and lips_close
    depend on its own gaps. Order: ``coefficients.EXPRESSION``. Raises MediaError for landmarks of
    another shape.
    """
    points = check_landmarks(landmarks_px)
    frame = face_frame(points)
    local = frame.local(points)
    out = np.zeros((len(EXPRESSION_NAMES), LANDMARK_COUNT, 3), np.float32)
    for k, name in enumerate(EXPRESSION_NAMES):
        shaper = _Shaper(local, frame)
        _SHAPES[name](shaper)
        out[k] = shaper.moves @ frame.axes  # face axes -> image axes
    return out


_SHAPES = {
    "jaw_open": _jaw_open,
    "lips_close": _lips_close,
    "mouth_wide": _mouth_wide,
    "mouth_pucker": _mouth_pucker,
    "smile_left": lambda s: _smile(s, 1),
    "smile_right": lambda s: _smile(s, -1),
    "frown": _frown,
    "upper_lip_raise": _upper_lip_raise,
    "lower_lip_down": _lower_lip_down,
    "blink_left": lambda s: _blink(s, EYE_LEFT),
    "blink_right": lambda s: _blink(s, EYE_RIGHT),
    "gaze_x": lambda s: _gaze(s, 0.17, 0.0),
    "gaze_y": lambda s: _gaze(s, 0.0, 0.1),
    "brow_up_left": lambda s: _brow_up(s, EYE_LEFT),
    "brow_up_right": lambda s: _brow_up(s, EYE_RIGHT),
    "brow_furrow": _brow_furrow,
    "cheek_raise": _cheek_raise,
}


def seal_lips(displaced_px: Array, down: Array, lips_close: float) -> Array:
    """The non-linear remainder: extra moves ``[478, 3]`` that keep or bring the lips together.

    `displaced_px` ``[478, 3]`` is the face after the linear basis, `down` ``[3]`` the face's down
    axis. Lips that passed through each other are set apart to touch; of an open gap, `lips_close`
    (0…1) closes its share, so that 1 seals over any jaw. Whole lips travel, the rows together.
    """
    gap = (displaced_px[INNER_LOWER] - displaced_px[INNER_UPPER]) @ down  # [11]
    closing = np.where(gap > 0.0, gap * np.clip(lips_close, 0.0, 1.0), gap)
    moves = np.zeros((LANDMARK_COUNT, 3), np.float32)
    for row in range(4):
        moves[LIP_UPPER[row]] += (SEAL_UPPER_SHARE * closing)[:, None] * down
    for row in range(4):
        moves[LIP_LOWER[row, 1:-1]] -= ((1 - SEAL_UPPER_SHARE) * closing[1:-1])[:, None] * down
    moves[LIP_UPPER[:, [0, -1]]] = 0.0
    return moves


def _ramp(x: NDArray[np.floating[Any]], low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    return smooth_step((x - low) / (high - low))


@cache
def _is_lip() -> NDArray[np.bool_]:
    return np.isin(np.arange(468), LIPS)


@cache
def _is_brow() -> NDArray[np.bool_]:
    rows = [e.brow_upper for e in (EYE_RIGHT, EYE_LEFT)]
    rows += [e.brow_lower for e in (EYE_RIGHT, EYE_LEFT)]
    return np.isin(np.arange(468), np.concatenate(rows))


class FaceOutline:
    """A portrait's landmarks under any expression, without the head's pose."""

    def __init__(self, portrait: Portrait) -> None:
        self._landmarks = portrait.landmarks
        self._basis = displacement_basis(portrait.landmarks)

    def landmarks(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels ``[478, 3]`` of the portrait for coefficients ``[K]``."""
        moved = np.tensordot(values[EXPRESSION], self._basis, axes=1)
        return np.asarray(self._landmarks + moved, np.float32)
