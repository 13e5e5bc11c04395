"""Faces without images: landmarks by the rig's own geometry."""

from collections.abc import Callable

import numpy as np
import pytest
from faces import displace
from numpy.typing import NDArray

from avatar_forcing_ros.perception.expression import ExpressionSolver
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.perception.neutral_face import resting_face
from avatar_forcing_ros.rig import blendshapes
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import EXPRESSION, vector

Landmarks = Callable[[NDArray[np.float32]], NDArray[np.float32]]
WIDTH_PX = 180.0


@pytest.fixture(scope="session")
def landmarks() -> Landmarks:
    """A function from coefficients ``[K]`` to the landmarks ``[478, 3]`` px of such a face."""
    # another person than the mean one: a longer face, with lips that are a little parted at rest
    build = vector(jaw_open=0.1)[EXPRESSION]
    face = (resting_face() + ExpressionSolver(resting_face()).move(build)) * [1.0, 1.06, 1.0]
    rest = (face * WIDTH_PX + [320.0, 240.0, 0.0]).astype(np.float32)
    basis = blendshapes.displacement_basis(rest)
    pivot = mesh.head_centre(rest)

    def make(values: NDArray[np.float32]) -> NDArray[np.float32]:
        yaw, pitch, roll, left, up, nearer = (float(v) for v in values[:6])
        face = displace(rest, basis, values[6:])
        turned = (face - pivot) @ mesh.head_rotation(yaw, pitch, roll).T * (1.0 + nearer)
        shift = np.array([left * WIDTH_PX, -up * WIDTH_PX, 0.0])
        return np.asarray(turned + pivot + shift, np.float32)

    return make


@pytest.fixture(scope="session")
def observe(landmarks: Landmarks) -> Callable[[NDArray[np.float32]], FaceObservation]:
    """A function from coefficients ``[K]`` to an observation of such a face."""
    return lambda values: FaceObservation(landmarks(values), 0)
