"""Faces for tests, by the rig's own geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import blendshapes, coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh

Array = NDArray[np.float32]


def displace(landmarks_px: Array, basis: Array, expression: Array) -> Array:
    """The landmarks ``[478, 3]`` of an expression ``[17]``: linear basis plus ``seal_lips``."""
    moved = landmarks_px + np.tensordot(expression, basis, axes=1)
    down = mesh.face_frame(landmarks_px).axes[1]
    close = float(expression[coefficients.EXPRESSION_NAMES.index("lips_close")])
    return np.asarray(moved + blendshapes.seal_lips(moved, down, close), np.float32)
