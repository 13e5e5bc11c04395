"""The user's resting face, learned while the conversation runs.

Everything that the rig calls expression is a difference from this face. It is usable at the first
frame and gets better for some seconds. Nobody has to sit still for it: each coefficient has its
own rest, the value that it comes back to most, so that a user who talks from the first moment
does not become neutral with an open mouth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.expression import ExpressionSolver, eye_opening
from avatar_forcing_ros.perception.head_pose import canonical_face
from avatar_forcing_ros.rig.face_landmarks import EYE_LEFT, EYE_RIGHT, EyeIndices, Indices
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

Array = NDArray[np.float64]

EVERY_FRAME = 2 * FRAME_RATE_HZ  # all faces of the first two seconds are kept,
THEN_EVERY = 5  # then one in five
LEARN_FRAMES = 12 * FRAME_RATE_HZ  # until the face is taken as known
MAX_TURN_RAD = 0.35  # faces turned further serve only while there is no other
REST_SHARE = 0.35  # of the time that an expression is taken to be at rest
# eyes at rest are among the widest open, but not the very widest: shares of the ordered faces
OPEN_EYES = (0.05, 0.35)


class NeutralFace:
    """A running, causal estimate of the resting face, ``[478, 3]`` in canonical axes and units."""

    def __init__(self) -> None:
        self._faces: list[Array] = []
        self._openings: list[tuple[float, float]] = []
        self._seen = 0
        self._solver = ExpressionSolver(canonical_face())

    @property
    def solver(self) -> ExpressionSolver:
        """Reads expressions against the estimate so far, at first against the canonical face."""
        return self._solver

    def add(self, face: Array, turned_rad: float = 0.0) -> None:
        """Learn from one observed `face` ``[478, 3]``.

        `turned_rad` is how far the head was turned away.
        """
        if self._faces and turned_rad > MAX_TURN_RAD:
            return
        index, self._seen = self._seen, self._seen + 1
        if index >= LEARN_FRAMES or (index >= EVERY_FRAME and index % THEN_EVERY):
            return
        self._faces.append(face)
        self._openings.append((eye_opening(face, EYE_LEFT), eye_opening(face, EYE_RIGHT)))
        pause = 1 if index < THEN_EVERY else THEN_EVERY if index < EVERY_FRAME else FRAME_RATE_HZ
        if index % pause == 0:
            self._solver = ExpressionSolver(self._estimate())

    def _estimate(self) -> Array:
        faces = np.stack(self._faces)  # [n, 478, 3]
        value = np.median(faces, axis=0)
        first, stop = (share * len(faces) for share in OPEN_EYES)
        for eye, openings in zip((EYE_LEFT, EYE_RIGHT), np.array(self._openings).T, strict=True):
            rest = np.argsort(-openings, kind="stable")[int(first) : max(1, round(stop))]
            value[_lids(eye)] = np.median(faces[rest][:, _lids(eye)], axis=0)
        middle = ExpressionSolver(value)
        return middle.express(_densest(middle.explain(faces)))


def _densest(values: Array) -> Array:
    """For each column of `values` ``[n, k]`` the mean of its closest REST_SHARE of entries."""
    ordered = np.sort(values, axis=0)
    count = max(1, round(REST_SHARE * len(values)))
    spread = ordered[count - 1 :] - ordered[: len(values) - count + 1]  # [n - count + 1, k]
    start = np.argmin(spread, axis=0)
    rows = start[None] + np.arange(count)[:, None]  # [count, k]
    return np.asarray(np.take_along_axis(ordered, rows, axis=0).mean(0))


def _lids(eye: EyeIndices) -> Indices:
    return np.concatenate(
        [eye.upper, eye.lower, eye.upper_ring, eye.lower_ring, [eye.outer, eye.inner]]
    )
