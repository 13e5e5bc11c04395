"""The faces of a whole recording to rig coefficients, against a resting face that is known.

A live tracker learns the resting face while the conversation runs, so its first seconds are read
against a guess. A recording can be looked at twice: faces spread over all of it teach the live
estimator first, and every stretch of visible face is then read by a copy of that estimator. What
it gives is what a live one gives that has known the person for a while.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.perception.neutral_face import LEARN_FRAMES
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.timebase import frame_stamp_ns

SETTLE_FRAMES = 10  # of the first face, before a stretch begins: smoothing starts where it is
_UNITS = np.maximum(-coefficients.LOW, coefficients.HIGH)  # [K]

Faces = Sequence[FaceObservation | None]


def rig_motion(
    faces: Faces, stretches: Sequence[tuple[int, int]], seed: int = 0
) -> NDArray[np.float32]:
    """Coefficients ``[T, K]`` in the frames of `stretches`; zeros elsewhere.

    Gaps in a stretch ``(start, stop)`` are held.
    """
    known = acquainted(faces, seed)
    values = np.zeros((len(faces), coefficients.COUNT), np.float32)
    for start, stop in stretches:
        first = next((face for face in faces[start:stop] if face is not None), None)
        if first is None:
            continue
        estimator = copy.deepcopy(known)
        for k, face in enumerate([first] * SETTLE_FRAMES + list(faces[start:stop])):
            motion = estimator.update(face, frame_stamp_ns(k))
            values[max(start, start + k - SETTLE_FRAMES)] = motion.values
    return values


def acquainted(faces: Faces, seed: int = 0) -> UserMotionEstimator:
    """An estimator that has seen as many of `faces` as it learns from, spread over all of them.

    In no order, as it takes less of what it is shown later, and up to the media time 0.
    """
    estimator = UserMotionEstimator()
    seen = [face for face in faces if face is not None]
    spread = np.linspace(0, len(seen) - 1, min(len(seen), LEARN_FRAMES)).round().astype(int)
    for k, index in enumerate(np.random.default_rng(seed).permutation(spread)):
        estimator.update(seen[index], frame_stamp_ns(k - len(spread)))
    return estimator


def most_neutral(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> int:
    """The frame of those `seen` ``[T]`` whose `values` ``[T, K]`` are the nearest to rest."""
    away = np.abs(values / _UNITS).sum(axis=1)
    return int(np.where(seen, away, np.inf).argmin())
