"""Where the portrait's landmarks go when its expression moves, for whoever draws lines of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_mesh
from avatar_forcing_ros.rig.coefficients import EXPRESSION
from avatar_forcing_ros.rig.portrait import Portrait


class FaceOutline:
    """A portrait's landmarks under any expression, without the head's pose."""

    def __init__(self, portrait: Portrait) -> None:
        self._landmarks = portrait.landmarks
        self._basis = face_mesh.displacement_basis(portrait.landmarks)

    def landmarks(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels ``[478, 3]`` of the portrait for coefficients ``[K]``."""
        moved = np.tensordot(values[EXPRESSION], self._basis, axes=1)
        return np.asarray(self._landmarks + moved, np.float32)
