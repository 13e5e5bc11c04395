"""The 478 landmarks of a face (MediaPipe FaceMesh with refined irises): indices, axes, size, pose.

Landmarks are in pixels: x to the right of the image, y down, z away from the viewer in the same
unit. *Left* is the person's own left, the right side of an unmirrored image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError

Indices = NDArray[np.intp]

LANDMARK_COUNT = 478


def _ids(*rows: str) -> Indices:
    return np.array([[int(i) for i in row.split()] for row in rows], np.intp)


FOREHEAD_TOP, CHIN, NOSE_TIP, NOSE_BASE = 10, 152, 1, 2
EAR_RIGHT, EAR_LEFT = 234, 454
JAW_ANGLE_RIGHT, JAW_ANGLE_LEFT = 58, 288
MOUTH_RIGHT, MOUTH_LEFT = 61, 291
OVAL = _ids(
    "10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 "
    "136 172 58 132 93 234 127 162 21 54 103 67 109"
)[0]

# Rows of 11 from the person's right mouth corner to the left one, outer row first, inner last.
LIP_UPPER = _ids(
    "61 185 40 39 37 0 267 269 270 409 291",
    "76 184 74 73 72 11 302 303 304 408 306",
    "62 183 42 41 38 12 268 271 272 407 292",
    "78 191 80 81 82 13 312 311 310 415 308",
)
LIP_LOWER = _ids(
    "61 146 91 181 84 17 314 405 321 375 291",
    "76 77 90 180 85 16 315 404 320 307 306",
    "62 96 89 179 86 15 316 403 319 325 292",
    "78 95 88 178 87 14 317 402 318 324 308",
)
INNER_UPPER, INNER_LOWER = LIP_UPPER[-1], LIP_LOWER[-1]
LIPS: Indices = np.unique(np.concatenate([LIP_UPPER.ravel(), LIP_LOWER.ravel()]))


@dataclass(frozen=True)
class EyeIndices:
    """One eye; rows run from the outer to the inner corner, lids without the corners."""

    outer: int
    inner: int
    upper: Indices  # [7] lash line of the upper lid
    lower: Indices  # [7]
    upper_ring: Indices  # [7] skin above the upper lash line
    brow_ring: Indices  # [7] skin between that and the brow
    lower_ring: Indices  # [7] skin below the lower lash line
    iris: Indices  # [5] centre first
    brow_upper: Indices  # [5] from the outer end to the nose
    brow_lower: Indices  # [5]


EYE_RIGHT = EyeIndices(
    33,
    133,
    _ids("246 161 160 159 158 157 173")[0],
    _ids("7 163 144 145 153 154 155")[0],
    _ids("247 30 29 27 28 56 190")[0],
    _ids("113 225 224 223 222 221 189")[0],
    _ids("25 110 24 23 22 26 112")[0],
    np.arange(468, 473),
    _ids("70 63 105 66 107")[0],
    _ids("46 53 52 65 55")[0],
)
EYE_LEFT = EyeIndices(
    263,
    362,
    _ids("466 388 387 386 385 384 398")[0],
    _ids("249 390 373 374 380 381 382")[0],
    _ids("467 260 259 257 258 286 414")[0],
    _ids("342 445 444 443 442 441 413")[0],
    _ids("255 339 254 253 252 256 341")[0],
    np.arange(473, 478),
    _ids("300 293 334 296 336")[0],
    _ids("276 283 282 295 285")[0],
)


Array = NDArray[np.float32]

# head axes (x forward, y left, z up) from the image's (x right, y down, z away); REP-103
HEAD_FROM_IMAGE: NDArray[np.float64] = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], np.float64)
# FaceMesh sees the chin behind the top of the forehead by this angle where a face looks straight
# into the camera: from 0.17 to 0.22 on the canonical face, both drawn portraits and a photo
_LEVEL_PITCH_RAD = 0.19
# in ear-to-ear widths; eyes have 0.2, a mouth 0.4 and rounded lips still 0.2
_MIN_EYE, _MIN_MOUTH = 0.08, 0.1
_BEYOND = 0.5  # of the image's size, that a landmark may lie outside of it


@dataclass(frozen=True)
class FaceFrame:
    """A face's own axes and size.

    `axes` ``[3, 3]`` has unit rows: to the person's left, down the face, into the head.
    `origin_px` ``[3]`` is the middle of the eye corners.
    """

    origin_px: Array
    axes: Array
    width_px: float  # ear to ear, the unit of head_x and head_y
    height_px: float  # top of the forehead to chin

    def local(self, points_px: Array) -> Array:
        """`points_px` ``[..., 3]`` in this frame, in pixels along the axes."""
        return np.asarray((points_px - self.origin_px) @ self.axes.T, np.float32)


def check_landmarks(landmarks_px: NDArray[np.floating[Any]]) -> Array:
    """`landmarks_px` as float32 ``[478, 3]``.

    Raises MediaError for another shape, for values that are no numbers and for points that do not
    lie as in a face: on a line, mirrored, without eyes or mouth, or in another order.
    """
    points = np.asarray(landmarks_px, np.float32)
    remedy = "give the 478 points of FaceMesh with refined irises, in pixels"
    if points.shape != (LANDMARK_COUNT, 3):
        raise MediaError(
            "face landmarks", expected="shape (478, 3)", got=str(points.shape), remedy=remedy
        )
    if not np.isfinite(points).all():
        raise MediaError("face landmarks", expected="numbers", got="NaN or inf", remedy=remedy)
    if min(np.ptp(points[:, 0]), np.ptp(points[:, 1])) < 4.0:
        raise MediaError(
            "face landmarks", expected="a face of some pixels", got="a point", remedy=remedy
        )
    flaw = _flaw(points)
    if flaw is not None:
        raise MediaError(
            "face landmarks", expected="points that form a face", got=flaw, remedy=remedy
        )
    return points


def check_within(points: Array, width: int, height: int) -> Array:
    """`points` as they are; MediaError if one is far outside of an image of that size."""
    size = np.array([width, height], np.float32)
    beyond = np.maximum(-points[:, :2], points[:, :2] - size) / np.maximum(size, 1.0)
    if beyond.max() > _BEYOND:
        x, y = points[int(beyond.max(1).argmax()), :2]
        raise MediaError(
            "face landmarks", expected=f"points within the image of {width} x {height} pixels",
            got=f"one at ({x:.0f}, {y:.0f})", remedy="use the landmarks of this very image",
        )  # fmt: skip
    return points


def _flaw(points: Array) -> str | None:
    """What keeps finite `points` ``[478, 3]`` from being a face; None where nothing does."""
    p = points.astype(np.float64)
    size = float(np.ptp(p, axis=0).max())
    ears, eyes = p[EAR_LEFT] - p[EAR_RIGHT], p[EYE_LEFT.outer] - p[EYE_RIGHT.outer]
    across, down = ears + eyes, p[CHIN] - p[FOREHEAD_TOP]
    if min(np.linalg.norm(ears), np.linalg.norm(across)) < 0.3 * size:
        return "ears and eyes that are not apart"
    if np.linalg.norm(np.cross(across, down)) < 0.3 * size * np.linalg.norm(across):
        return "points on a line"
    frame = face_frame(points)
    local = frame.local(points) / frame.width_px  # [478, 3] left, down, in
    corners = local[[EYE_RIGHT.outer, EYE_RIGHT.inner, EYE_LEFT.inner, EYE_LEFT.outer], 0]
    steps = np.diff(corners)  # [3] right eye, nose, left eye
    if steps.min() < _MIN_EYE:
        return "eyes without width, or side by side in another order"
    if local[MOUTH_LEFT, 0] - local[MOUTH_RIGHT, 0] < _MIN_MOUTH:
        return "a mouth without width, or with its corners exchanged"
    mouth = 0.5 * (local[MOUTH_LEFT, 1] + local[MOUTH_RIGHT, 1])
    heights = [local[FOREHEAD_TOP, 1], 0.0, local[NOSE_BASE, 1], mouth, local[CHIN, 1]]
    if np.diff(heights).min() < 0.02:
        return "forehead, eyes, nose, mouth and chin in another order"
    if local[NOSE_TIP, 2] > 0.02:
        return "a mirrored face, or depths of the other sign"
    if np.abs(local).max() > 1.6:
        return "points far away from the face"
    return None


def face_frame(landmarks_px: Array) -> FaceFrame:
    """Axes and size of the face `landmarks_px` ``[478, 3]``; turns and scales with it."""
    p = landmarks_px
    across = (p[EAR_LEFT] - p[EAR_RIGHT]) + (p[EYE_LEFT.outer] - p[EYE_RIGHT.outer])
    across = across / np.linalg.norm(across)
    down = p[CHIN] - p[FOREHEAD_TOP]
    down = down - (down @ across) * across
    down = down / np.linalg.norm(down)
    eyes = [EYE_RIGHT.outer, EYE_RIGHT.inner, EYE_LEFT.inner, EYE_LEFT.outer]
    return FaceFrame(
        origin_px=p[eyes].mean(0).astype(np.float32),
        axes=np.stack([across, down, np.cross(across, down)]).astype(np.float32),
        width_px=float(np.linalg.norm(p[EAR_LEFT] - p[EAR_RIGHT])),
        height_px=float(np.linalg.norm(p[CHIN] - p[FOREHEAD_TOP])),
    )


def roll_in_image(landmarks_px: Array) -> float:
    """The slope of the eye line in the image, rad; positive turns x towards y (clockwise)."""
    x, y, _ = landmarks_px[EYE_LEFT.outer] - landmarks_px[EYE_RIGHT.outer]
    return float(np.arctan2(y, x))


def turn_from_camera(landmarks_px: Array) -> tuple[float, float]:
    """Yaw and pitch in rad of an upright face, with the signs of ``coefficients``."""
    right, down, away = -face_frame(landmarks_px).axes[2]  # where the face looks
    yaw = float(np.arctan2(right, -away))
    return yaw, float(np.arcsin(np.clip(down, -1.0, 1.0))) - _LEVEL_PITCH_RAD


def head_centre(landmarks_px: Array) -> Array:
    """The point ``[3]`` that the head turns about: amid ears and jaw angles, inside the head."""
    pivots = [EAR_RIGHT, EAR_LEFT, JAW_ANGLE_RIGHT, JAW_ANGLE_LEFT]
    return np.asarray(landmarks_px[pivots].mean(0), np.float32)


def head_rotation(yaw_rad: float, pitch_rad: float, roll_rad: float) -> Array:
    """Rotation ``[3, 3]`` of image coordinates (x right, y down, z away) for a head pose.

    The signs of ``coefficients``: REP-103 axes, roll, then pitch, then yaw about fixed axes.
    Apply as ``points @ rotation.T``.
    """
    cy, sy = np.cos(yaw_rad), np.sin(yaw_rad)
    cp, sp = np.cos(pitch_rad), np.sin(pitch_rad)
    cr, sr = np.cos(roll_rad), np.sin(roll_rad)
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    turn = HEAD_FROM_IMAGE.T @ yaw @ pitch @ roll @ HEAD_FROM_IMAGE
    return np.asarray(turn, np.float32)
