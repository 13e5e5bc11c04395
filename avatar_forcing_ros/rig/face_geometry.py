"""A tracked face's own axes, size and pivot, and the rotation that a head pose means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig.mesh_indices import (
    CHIN,
    EAR_LEFT,
    EAR_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    FOREHEAD_TOP,
    JAW_ANGLE_LEFT,
    JAW_ANGLE_RIGHT,
    LANDMARK_COUNT,
)

Array = NDArray[np.float32]


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
    """`landmarks_px` as float32 ``[478, 3]``; MediaError for another shape or unusable values."""
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
    return points


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


def head_centre(landmarks_px: Array) -> Array:
    """The point ``[3]`` that the head turns about: amid ears and jaw angles, inside the head."""
    pivots = [EAR_RIGHT, EAR_LEFT, JAW_ANGLE_RIGHT, JAW_ANGLE_LEFT]
    return np.asarray(landmarks_px[pivots].mean(0), np.float32)


def head_rotation(yaw_rad: float, pitch_rad: float, roll_rad: float) -> Array:
    """Rotation ``[3, 3]`` of picture coordinates (x right, y down, z away) for a head pose.

    The signs of ``coefficients``: REP-103 axes, roll, then pitch, then yaw about fixed axes.
    Apply as ``points @ rotation.T``.
    """
    cy, sy = np.cos(yaw_rad), np.sin(yaw_rad)
    cp, sp = np.cos(pitch_rad), np.sin(pitch_rad)
    cr, sr = np.cos(roll_rad), np.sin(roll_rad)
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    # picture x, y, z = head y, -z, -x
    to_head = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    return np.asarray(to_head.T @ yaw @ pitch @ roll @ to_head, np.float32)
