"""The user's resting face, learned while the conversation runs.

Everything that the rig calls expression is a difference from this face. It is usable at the first
frame, also where the user smiles or talks in it: what a face shows against the mean resting face
of people is partly its build and partly an expression. Small differences are taken for build,
large ones for expressions, by how much resting faces differ among people. What remains of a frame
without its expression is an estimate of the resting face, and frames near rest count most. An
expression that is held, however long, therefore never becomes the resting face.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.expression import (
    ExpressionSolver,
    eye_opening,
    read_as,
    smooth_step,
)
from avatar_forcing_ros.perception.head_pose import canonical_face
from avatar_forcing_ros.rig.coefficients import EXPRESSION_NAMES
from avatar_forcing_ros.rig.face_landmarks import (
    EYE_LEFT,
    EYE_RIGHT,
    LANDMARK_COUNT,
    EyeIndices,
    Indices,
)
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

Array = NDArray[np.float64]

# What resting faces show against the canonical face, which smiles with parted lips: the mean, and
# the standard deviation among people. In the units of ExpressionSolver.solve.
_RESTING = {
    **{"jaw_open": 0.12, "lips_close": 0.33, "mouth_wide": 0.03, "mouth_pucker": 0.12},
    **{"smile_left": -0.18, "smile_right": -0.18, "frown": 0.25, "upper_lip_raise": -0.31},
    **{"brow_up_left": -0.31, "brow_up_right": -0.31, "brow_furrow": 0.1, "cheek_raise": 0.02},
}
_SPREAD = {
    **{"jaw_open": 0.08, "lips_close": 0.2, "mouth_wide": 0.12, "mouth_pucker": 0.07},
    **{"smile_left": 0.11, "smile_right": 0.11, "frown": 0.13, "upper_lip_raise": 0.17},
    **{"lower_lip_down": 0.3, "brow_up_left": 0.23, "brow_up_right": 0.23},
    **{"brow_furrow": 0.23, "cheek_raise": 0.04},
}
# How high brows sit is a matter of build over a wider range than this, above all on drawn faces.
_BROW_BUILD = 0.52
BUILD, SHOWN = 0.7, 2.5  # spreads up to which all is build, and from which all is expression
NEAR = 2.0  # spreads at which a frame counts an eighth of one at rest

EVERY_FRAME = 2 * FRAME_RATE_HZ  # all faces of the first two seconds are learned from,
THEN_EVERY = 5  # then one in five
MEMORY = 60 * FRAME_RATE_HZ / THEN_EVERY  # frames at rest that are remembered
LEARN_FRAMES = 12 * FRAME_RATE_HZ  # after which a face counts as known, its lids are not learned
STILL = 5e-4  # head widths; an estimate that moved by less is not worth a new solver
MAX_TURN_RAD = 0.35  # faces turned further serve only while there is no other
# eyes at rest are among the widest open, but not the very widest: shares of the ordered faces
OPEN_EYES = (0.05, 0.35)


@lru_cache(maxsize=1)
def resting_face() -> Array:
    """The mean resting face ``[478, 3]`` of people, in canonical axes and head widths."""
    level = np.array([_RESTING.get(name, 0.0) for name in EXPRESSION_NAMES])
    return canonical_face() + ExpressionSolver(canonical_face()).move(level)


@lru_cache(maxsize=1)
def _mean_solver() -> ExpressionSolver:
    return ExpressionSolver(resting_face(), any_build=True)


_SIGMA: Array = np.array([_SPREAD.get(name, 1.0) for name in EXPRESSION_NAMES])
_IS_HEIGHT = np.array([name.startswith("brow_up") for name in EXPRESSION_NAMES])
_BUILD_SIGMA: Array = np.where(_IS_HEIGHT, _BROW_BUILD, _SIGMA)
_IS_BROW = np.array([name.startswith("brow_") for name in EXPRESSION_NAMES])
_JAW = EXPRESSION_NAMES.index("jaw_open")


class NeutralFace:
    """A running, causal estimate of the resting face, ``[478, 3]`` in canonical axes and units."""

    def __init__(self) -> None:
        self._total = np.zeros((LANDMARK_COUNT, 3))
        self._weight = np.zeros((LANDMARK_COUNT, 1))
        self._lids: list[Array] = []
        self._openings: list[tuple[float, float]] = []
        self._seen = 0
        self._solver = _mean_solver()
        self._read_against = resting_face()

    @property
    def solver(self) -> ExpressionSolver:
        """Reads expressions against the estimate so far, at first against the mean face."""
        return self._solver

    def add(self, face: Array, turned_rad: float = 0.0) -> None:
        """Learn from one observed `face` ``[478, 3]``.

        `turned_rad` is how far the head was turned away.
        """
        if self._seen and turned_rad > MAX_TURN_RAD:
            return
        index, self._seen = self._seen, self._seen + 1
        if index >= EVERY_FRAME and index % THEN_EVERY:
            return
        self._learn(face)
        if index < LEARN_FRAMES:
            self._lids.append(face[_LIDS])
            self._openings.append((eye_opening(face, EYE_LEFT), eye_opening(face, EYE_RIGHT)))
        pause = 1 if index < THEN_EVERY else THEN_EVERY if index < EVERY_FRAME else FRAME_RATE_HZ
        if index % pause:
            return
        estimate = self._estimate()
        if index == 0 or np.abs(estimate - self._read_against).max() > STILL:
            self._solver, self._read_against = ExpressionSolver(estimate), estimate

    def _learn(self, face: Array) -> None:
        mean = _mean_solver()
        moves, wide_jaw = mean.explain(face)
        expression = read_as(moves, wide_jaw)
        spreads = expression / _SIGMA
        shown = smooth_step((expression / _BUILD_SIGMA - BUILD) / (SHOWN - BUILD))
        rest = face - mean.move(moves * shown, wide_jaw * float(shown[_JAW]))
        for ids, group in ((_UPPER, _IS_BROW), (_LOWER, ~_IS_BROW)):
            distance = np.sum(spreads[group] ** 2) / NEAR**2
            weight = 1.0 / (1.0 + distance) ** 3
            keep = min(1.0, MEMORY / (self._weight[ids[0], 0] + 1e-9))
            self._total[ids] = keep * self._total[ids] + weight * rest[ids]
            self._weight[ids] = keep * self._weight[ids] + weight

    def _estimate(self) -> Array:
        value = self._total / self._weight
        lids = np.stack(self._lids)  # [n, 2, k, 3]
        first, stop = (share * len(lids) for share in OPEN_EYES)
        for side, openings in enumerate(np.array(self._openings).T):
            rest = np.argsort(-openings, kind="stable")[int(first) : max(1, round(stop))]
            value[_LIDS[side]] = np.median(lids[rest, side], axis=0)
        return value


def _lids(eye: EyeIndices) -> Indices:
    return np.concatenate(
        [eye.upper, eye.lower, eye.upper_ring, eye.lower_ring, [eye.outer, eye.inner]]
    )


_LIDS = np.stack([_lids(EYE_LEFT), _lids(EYE_RIGHT)])  # [2, k]
_UPPER = np.unique(
    np.concatenate(
        [r for e in (EYE_LEFT, EYE_RIGHT) for r in (e.brow_upper, e.brow_lower, e.brow_ring)]
    )
)
_LOWER = np.setdiff1d(np.arange(LANDMARK_COUNT), _UPPER)
