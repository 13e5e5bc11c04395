"""Expression coefficients of a face that looks into the camera, by geometry.

The rig says how each coefficient displaces the landmarks; here the displacement of the observed
face from the user's resting face is explained by these moves, in a small bounded least squares
with a ridge. Lids and irises are read as ratios, which hold better there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.blendshapes import SEAL_JAW, displacement_basis
from avatar_forcing_ros.rig.coefficients import EXPRESSION_NAMES
from avatar_forcing_ros.rig.face_landmarks import (
    CHIN,
    EYE_LEFT,
    EYE_RIGHT,
    LANDMARK_COUNT,
    LIPS,
    OVAL,
    EyeIndices,
    Indices,
)

Array = NDArray[np.float64]

UNIT_PX = 200.0  # head width in pixels at which the rig is asked for its moves
CLOSED_SHARE = 0.2  # of an open eye's height, what FaceMesh still sees of a closed one
MIN_OPENING = 0.15  # height by width of any open eye: a first frame in mid-blink is no rest
GAZE_BLINK = 0.6  # with lids lower than this the iris is a guess, and the last gaze stays

_JAW, _CLOSE, _FROWN = map(EXPRESSION_NAMES.index, ("jaw_open", "lips_close", "frown"))
_MIDDLE = slice(2, 5)  # the lids' middle landmarks
_EYES = (EYE_LEFT, EYE_RIGHT)
_BLINK = [EXPRESSION_NAMES.index(name) for name in ("blink_left", "blink_right")]
_GAZE = [EXPRESSION_NAMES.index(name) for name in ("gaze_x", "gaze_y")]
_BROWS = [k for k, name in enumerate(EXPRESSION_NAMES) if name.startswith("brow_")]
# jaw, lips and cheeks [10]
MOUTH = [k for k in range(len(EXPRESSION_NAMES)) if k not in _BLINK + _GAZE + _BROWS]

# The ridge in squared head widths, weighted: larger where a coefficient resembles another one.
_RIDGE = 6e-5
_RIDGE_FACTORS = {
    **{"jaw_open": 0.1, "lips_close": 0.3, "lower_lip_down": 0.5, "upper_lip_raise": 0.5},
    **{"brow_up_left": 0.2, "brow_up_right": 0.2, "brow_furrow": 0.2},
}
_SWEEPS = 40
# A jaw that is read beside the rig's own one. On people the corners of an open mouth come down
# with the lip and stay apart; by the rig's jaw alone this would count as a frown.
_WIDE_JAW = {"jaw_open": 0.9, "lower_lip_down": 1.4, "frown": 1.0, "mouth_wide": 0.57}
_WIDE_JAW_READ = {"jaw_open": 1.0, "lower_lip_down": 0.6}  # what one of it counts as
# Lips that are rounded or wide open pull people's mouth corners down: from the first to the second
# value a frown counts less and less, to nothing.
_NO_FROWN = {"jaw_open": (0.33, 0.75), "mouth_pucker": (0.35, 0.73)}


class ExpressionSolver:
    """Reads the expression of faces that share one resting face.

    `neutral` ``[478, 3]`` in canonical axes and head widths. With `any_build` it may be of another
    person: how long the face is counts for nothing.
    """

    def __init__(self, neutral: Array, *, any_build: bool = False) -> None:
        self._neutral = neutral
        basis = displacement_basis((neutral * UNIT_PX).astype(np.float32)).astype(np.float64)
        self._basis = basis / UNIT_PX  # [17, 478, 3]
        loose = _rigid_moves(neutral)
        if any_build:
            loose = np.concatenate([loose, _build_moves(neutral)])
        self._groups = (
            _Group(neutral, self._basis, MOUTH, _mouth_weights(), loose),
            _Group(neutral, self._basis, _BROWS, _brow_weights(), _local_moves(neutral)),
        )
        self._openings = np.maximum(_openings(neutral), MIN_OPENING)
        moved_lids = [1.0 - _openings(neutral + move) / self._openings for move in self._basis]
        self._lid_share = np.array(moved_lids).T  # [2, 17]
        self._lid_share[:, _BLINK] = 0.0
        self._irises = _iris_places(neutral)
        moved = [(_iris_places(neutral + self._basis[k]) - self._irises).mean(0) for k in _GAZE]
        self._gaze_from_iris = np.linalg.inv(np.array(moved).T)  # [2, 2]

    def solve(self, face: Array, last: Array) -> Array:
        """Expression ``[17]`` of `face` ``[478, 3]`` in canonical axes, not yet limited to range.

        `last` ``[17]`` is the expression before; its gaze stays while the eyes are closed.
        """
        out = read_as(*self.explain(face))
        for name, (first, last_one) in _NO_FROWN.items():
            amount = out[EXPRESSION_NAMES.index(name)]
            out[_FROWN] *= 1.0 - smooth_step((amount - first) / (last_one - first))
        # lips that are closed over an open jaw need more of this move than lips_close = 1 has
        out[_CLOSE] *= SEAL_JAW / (SEAL_JAW + out[_JAW])
        closed = 1.0 - _openings(face) / self._openings  # [2]
        trust = np.clip(1.0 - closed / GAZE_BLINK, 0.0, 1.0)  # [2]
        if trust.max() > 0.0:
            shift = _iris_places(face) - self._irises  # [2, 2] of each eye, right and down
            out[_GAZE] = self._gaze_from_iris @ (trust @ shift / trust.sum())
        else:
            out[_GAZE] = last[_GAZE]
        # lids also move with the gaze, the brows and the cheeks: that part is not a blink
        closed -= self._lid_share @ np.clip(out, -1.0, 1.0)
        out[_BLINK] = np.maximum(0.0, closed) / (1.0 - CLOSED_SHARE)
        return out

    def explain(self, face: Array) -> tuple[Array, float]:
        """The moves ``[17]`` that explain `face`, the eyes' left at zero, and how wide a jaw."""
        out, wide_jaw = np.zeros(len(EXPRESSION_NAMES)), 0.0
        for group in self._groups:
            found = group.solve(face)
            out[group.solved] = found[: len(group.solved)]
            wide_jaw += float(found[len(group.solved) :].sum())
        return out, wide_jaw

    def move(self, expression: Array, wide_jaw: float = 0.0) -> Array:
        """How `expression` ``[17]`` and `wide_jaw` displace the landmarks ``[478, 3]``."""
        return np.asarray(
            np.tensordot(expression, self._basis, axes=1) + wide_jaw * _wide_jaw(self._basis)
        )


class _Group:
    """The least squares of the coefficients `solved` over landmarks with `weights` ``[478]``.

    `loose` ``[m, 478, 3]`` are moves that are explained away: what the pose left over.
    """

    def __init__(
        self, neutral: Array, basis: Array, solved: list[int], weights: Array, loose: Array
    ) -> None:
        self.solved = solved
        self._neutral = neutral
        self._weights = np.sqrt(weights / weights.sum())[:, None]  # [478, 1]
        jaws = [_wide_jaw(basis)] if _JAW in solved else []
        bounded = np.stack([*basis[solved], *jaws])  # [k, 478, 3]
        columns = np.concatenate([bounded, loose])  # [k + m, 478, 3]
        # depth is too coarse to use
        matrix = (columns[..., :2] * self._weights).reshape(len(columns), -1)
        names = [EXPRESSION_NAMES[k] for k in solved] + ["jaw_open"] * len(jaws)
        ridge = [_RIDGE * _RIDGE_FACTORS.get(name, 1.0) for name in names] + [1e-6] * len(loose)
        gram = matrix @ matrix.T + np.diag(ridge)
        # the loose moves have no bounds: they are solved for beforehand
        k = len(bounded)
        by_loose = np.linalg.solve(gram[k:, k:], gram[k:, :k]).T  # [k, m]
        self._matrix = matrix[:k] - by_loose @ matrix[k:]
        self._gram = gram[:k, :k] - by_loose @ gram[k:, :k]
        self._low, self._high = np.zeros(k), np.full(k, 1.5)
        if _CLOSE in solved:
            self._high[solved.index(_CLOSE)] = (1.0 + SEAL_JAW) / SEAL_JAW

    def solve(self, face: Array) -> Array:
        """How much of each of the bounded moves `face` shows; the wide jaw is the last one."""
        moved = (face - self._neutral)[..., :2] * self._weights  # [478, 2]
        right = self._matrix @ moved.ravel()
        return bounded_least_squares(self._gram, right, self._low, self._high)


def read_as(expression: Array, wide_jaw: float) -> Array:
    """What ``ExpressionSolver.explain`` found, as coefficients ``[17]``."""
    out = expression.copy()
    for name, amount in _WIDE_JAW_READ.items():
        out[EXPRESSION_NAMES.index(name)] += amount * wide_jaw
    return out


def smooth_step(part: Array) -> Array:
    """0 up to 0, 1 from 1 on, and smooth between."""
    part = np.clip(part, 0.0, 1.0)
    return np.asarray(part * part * (3.0 - 2.0 * part))


def _wide_jaw(basis: Array) -> Array:
    """How a mouth opens wide on people ``[478, 3]``: lower at its corners than the rig's jaw."""
    return np.asarray(sum(v * basis[EXPRESSION_NAMES.index(k)] for k, v in _WIDE_JAW.items()))


def bounded_least_squares(gram: Array, right: Array, low: Array, high: Array) -> Array:
    """The x ``[n]`` in `low`…`high` that makes ``x gram x / 2 - right x`` least.

    `gram` ``[n, n]`` is positive definite. Projected coordinate descent in a fixed number of
    sweeps, so that the cost does not depend on the face.
    """
    x = np.clip(np.linalg.solve(gram, right), low, high)
    diagonal = np.diag(gram)
    for _ in range(_SWEEPS):
        before = x.copy()
        for i in range(len(x)):
            step = (right[i] - gram[i] @ x) / diagonal[i]
            x[i] = min(max(x[i] + step, low[i]), high[i])
        if np.abs(x - before).max() < 1e-4:
            break
    return x


def _mouth_weights() -> Array:
    """How far each landmark is trusted ``[478]``: lips well, the outline badly, the eyes not."""
    weights = np.full(LANDMARK_COUNT, 0.5)
    weights[LIPS] = 4.0
    weights[OVAL] = 0.05
    weights[CHIN] = 4.0  # the jaw, also where the lips stay closed
    for eye in _EYES:
        for row in (eye.upper, eye.lower, eye.upper_ring, eye.lower_ring, eye.iris):
            weights[row] = 0.0
    return weights


def _brow_weights() -> Array:
    """Brows ``[478]``, against the skin below the eyes: a blink drags the corners, not this."""
    weights = np.zeros(LANDMARK_COUNT)
    for eye in _EYES:
        weights[[eye.outer, eye.inner, *eye.lower_ring]] = 20.0
        for row in (eye.brow_upper, eye.brow_lower):
            weights[row] = 1.0
    return weights


def _local_moves(face: Array) -> Array:
    """Shifts of each eye with its brow as moves ``[4, 478, 3]``: brows count from their eye."""
    out = []
    for eye in _EYES:
        ids = [eye.outer, eye.inner, *eye.lower_ring, *eye.brow_upper, *eye.brow_lower]
        for move in _rigid_moves(face)[:2]:
            local = np.zeros_like(move)
            local[ids] = move[ids]
            out.append(local)
    return np.stack(out)


def _rigid_moves(face: Array) -> Array:
    """Small shifts, turns and growth of `face` as moves ``[6, 478, 3]``."""
    x, y, z = (face - face.mean(0)).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    shifts = [(one, zero, zero), (zero, one, zero), (x, y, z)]
    turns = [(-y, x, zero), (z, zero, -x), (zero, z, -y)]
    return np.stack([np.stack(move, axis=1) for move in shifts + turns])


def _build_moves(face: Array) -> Array:
    """How faces differ in build, as moves ``[1, 478, 3]``: longer ones."""
    move = np.zeros_like(face)
    move[:, 1] = (face - face.mean(0))[:, 1]
    return move[None]


def eye_opening(face: Array, eye: EyeIndices) -> float:
    """Mean height of the eye's opening divided by its width."""
    heights = face[eye.lower[_MIDDLE], 1] - face[eye.upper[_MIDDLE], 1]
    width = np.linalg.norm(face[eye.inner, :2] - face[eye.outer, :2])
    return float(heights.mean() / width)


def _openings(face: Array) -> Array:
    """How open the eyes are, left and right ``[2]``."""
    return np.array([eye_opening(face, eye) for eye in _EYES])


def _iris_places(face: Array) -> Array:
    """Where each iris is between the corners of its eye: left and right eye ``[2, 2]``."""
    return np.stack([_place_in_eye(face, eye) for eye in _EYES])


def _place_in_eye(face: Array, eye: EyeIndices) -> Array:
    middle = (face[eye.inner, :2] + face[eye.outer, :2]) / 2
    width = np.linalg.norm(face[eye.inner, :2] - face[eye.outer, :2])
    iris: Indices = eye.iris
    return np.asarray((face[iris, :2].mean(0) - middle) / width)
