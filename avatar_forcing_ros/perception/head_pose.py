"""How a head is held: a similarity between the canonical face and the observed landmarks.

The camera is taken as a weak perspective one, so that a face's landmarks, depth included, are a
rotated, scaled and shifted copy of the face itself (least squares, Umeyama 1991).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.face_landmarks import HEAD_FROM_IMAGE

Array = NDArray[np.float64]

CANONICAL_FILE = Path(__file__).with_name("canonical_face.npy")

# Landmarks that expression hardly moves: forehead, temples, nose bridge and the eyes' corners.
STABLE: NDArray[np.intp] = np.array(
    [10, 151, 9, 8, 168, 6, 197, 195, 338, 297, 332, 284, 251, 389, 356, 454, 323]
    + [109, 67, 103, 54, 21, 162, 127, 234, 93, 337, 299, 333, 298, 301, 368, 264, 447]
    + [108, 69, 104, 68, 71, 139, 34, 227, 33, 133, 263, 362, 122, 351, 196, 419, 114, 343],
    np.intp,
)


@dataclass(frozen=True)
class HeadPose:
    """Where and how a head is held.

    `angles_rad` ``[3]`` yaw, pitch, roll as ``rig.coefficients`` defines them; `centre_px`
    ``[3]`` where the canonical face's origin lies in the image; `width_px` the length of one
    head width; `rotation` ``[3, 3]`` from the canonical face's axes to the image's.
    """

    angles_rad: Array
    centre_px: Array
    width_px: float
    rotation: Array

    def to_face(self, landmarks_px: NDArray[np.floating[Any]]) -> Array:
        """`landmarks_px` ``[N, 3]`` turned back to look at the camera, in head widths."""
        return np.asarray((landmarks_px - self.centre_px) @ self.rotation / self.width_px)


@lru_cache(maxsize=1)
def canonical_face() -> Array:
    """The mean face ``[478, 3]``, in head widths from the middle between the ears; read-only.

    Its axes are those of an image of a face that looks into the camera. ``tools`` makes the file.
    """
    points = np.load(CANONICAL_FILE).astype(np.float64)
    points.setflags(write=False)
    return points


def fit_similarity(source: Array, target: Array) -> tuple[Array, float, Array]:
    """Rotation ``[3, 3]``, scale and shift ``[3]``: target ~ scale * rotation @ source + shift.

    `source`, `target` ``[N, 3]``.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    a, b = source - source_mean, target - target_mean  # [N, 3]
    u, singular, vt = np.linalg.svd(b.T @ a)  # of the [3, 3] covariance
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((singular * sign).sum() / (a * a).sum())
    return rotation, scale, target_mean - scale * rotation @ source_mean


def angles_from_rotation(rotation: Array) -> Array:
    """Yaw, pitch, roll ``[3]`` in rad of a rotation ``[3, 3]`` in image axes."""
    head = HEAD_FROM_IMAGE @ rotation @ HEAD_FROM_IMAGE.T
    pitch = -np.arcsin(np.clip(head[2, 0], -1.0, 1.0))
    return np.array(
        [np.arctan2(head[1, 0], head[0, 0]), pitch, np.arctan2(head[2, 1], head[2, 2])]
    )


def estimate_pose(landmarks_px: NDArray[np.floating[Any]], face: Array) -> HeadPose:
    """The pose that brings `face` ``[478, 3]`` in canonical axes onto `landmarks_px`."""
    seen = np.asarray(landmarks_px, np.float64)
    rotation, width_px, centre = fit_similarity(face[STABLE], seen[STABLE])
    return HeadPose(angles_from_rotation(rotation), centre, width_px, rotation)
