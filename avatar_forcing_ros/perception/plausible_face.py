"""Whether landmarks have a face's shape: a mesh laid on a lamp or a cup has not.

The landmarks that expression hardly moves are compared with the canonical face's. On photographs
and films they are 0.006 to 0.027 head widths off, and more where the head is turned; on what only
looks like a face 0.028 to 0.05.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.face_backend import Landmarks
from avatar_forcing_ros.perception.head_pose import STABLE, canonical_face, estimate_pose

MAX_MISFIT = 0.036  # head widths, of a face that looks into the camera,
MISFIT_PER_RAD = 0.03  # and what is added for a turned one, whose far side is a guess
MAX_NEW_MISFIT = 0.026  # of a face in which no one is known yet
MAX_SHIFT = 0.015  # head widths between two looks at one image


def is_plausible(face: Landmarks) -> bool:
    """Whether `face` ``[478, 3]`` px may be one; generous, as faces are cut and covered."""
    if not np.isfinite(face).all():
        return False
    misfit_px, width_px, yaw_rad = _misfit(face)
    return misfit_px <= (MAX_MISFIT + MISFIT_PER_RAD * abs(yaw_rad)) * width_px


def is_certain(face: Landmarks, again: Landmarks) -> bool:
    """Whether `face` and the same one found `again` agree, and look like one beyond doubt."""
    if not (np.isfinite(face).all() and np.isfinite(again).all()):
        return False
    misfit_px, width_px, _ = _misfit(again)
    shift_px = _rms(again[:, :2] - face[:, :2])
    return misfit_px <= MAX_NEW_MISFIT * width_px and shift_px <= MAX_SHIFT * width_px


def _misfit(face: Landmarks) -> tuple[float, float, float]:
    """How far the stable landmarks are from the canonical face's, px; head width, px; yaw, rad."""
    pose = estimate_pose(face, canonical_face())
    fitted = pose.centre_px + pose.width_px * canonical_face()[STABLE] @ pose.rotation.T
    away = face[STABLE] - fitted  # [n, 3]; depth is too coarse to use
    return _rms(away[:, :2]), pose.width_px, float(pose.angles_rad[0])


def _rms(away: NDArray[np.floating[Any]]) -> float:
    return float(np.sqrt((away**2).sum(1).mean()))
