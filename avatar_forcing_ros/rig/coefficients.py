"""The face rig's coefficients: names, order, ranges and sign conventions.

One vector of these describes a face, the user's (from tracking) as well as the avatar's (to be
rendered); the order below is the file format and the order on ``avatar/motion``.

Signs follow the person, never the image: *left* is the person's own left, which is the right
side of an unmirrored image. Head angles are REP-103 rotations of the head frame (x forward out of
the face, y to the person's left, z up), applied as roll, then pitch, then yaw (fixed axes):
positive yaw turns the face to the person's left, positive pitch looks down, positive roll tips the
head towards the person's right shoulder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Coefficient:
    """One coefficient: its name, unit, plain meaning and the range that the renderer accepts."""

    name: str
    unit: str
    low: float
    high: float
    meaning: str


COEFFICIENTS: tuple[Coefficient, ...] = (
    Coefficient("head_yaw", "rad", -0.6, 0.6, "turn to the person's left"),
    Coefficient("head_pitch", "rad", -0.5, 0.5, "look down"),
    Coefficient("head_roll", "rad", -0.5, 0.5, "tip towards the person's right shoulder"),
    Coefficient("head_x", "head widths", -0.3, 0.3, "move to the person's left"),
    Coefficient("head_y", "head widths", -0.3, 0.3, "move up"),
    Coefficient("head_scale", "1", -0.25, 0.25, "come nearer: size is 1 + head_scale"),
    Coefficient("jaw_open", "1", 0.0, 1.0, "lower the jaw"),
    Coefficient("lips_close", "1", 0.0, 1.0, "press the lips together, also over an open jaw"),
    Coefficient("mouth_wide", "1", 0.0, 1.0, "stretch the mouth corners apart, as for 'ee'"),
    Coefficient("mouth_pucker", "1", 0.0, 1.0, "round and protrude the lips, as for 'oo'"),
    Coefficient("smile_left", "1", 0.0, 1.0, "raise the left mouth corner"),
    Coefficient("smile_right", "1", 0.0, 1.0, "raise the right mouth corner"),
    Coefficient("frown", "1", 0.0, 1.0, "lower both mouth corners"),
    Coefficient("upper_lip_raise", "1", 0.0, 1.0, "raise the upper lip, teeth show"),
    Coefficient("lower_lip_down", "1", 0.0, 1.0, "lower the lower lip, teeth show"),
    Coefficient("blink_left", "1", 0.0, 1.0, "close the left eye"),
    Coefficient("blink_right", "1", 0.0, 1.0, "close the right eye"),
    Coefficient("gaze_x", "1", -1.0, 1.0, "look to the person's left"),
    Coefficient("gaze_y", "1", -1.0, 1.0, "look up"),
    Coefficient("brow_up_left", "1", 0.0, 1.0, "raise the left eyebrow"),
    Coefficient("brow_up_right", "1", 0.0, 1.0, "raise the right eyebrow"),
    Coefficient("brow_furrow", "1", 0.0, 1.0, "draw the eyebrows down and together"),
    Coefficient("cheek_raise", "1", 0.0, 1.0, "raise the cheeks, as in a felt smile"),
)

NAMES: tuple[str, ...] = tuple(c.name for c in COEFFICIENTS)
INDEX: dict[str, int] = {name: i for i, name in enumerate(NAMES)}
COUNT = len(COEFFICIENTS)  # K = 23
POSE_COUNT = 6  # the first six move the whole head, the others change the face
POSE = slice(0, POSE_COUNT)
EXPRESSION = slice(POSE_COUNT, COUNT)
EXPRESSION_NAMES = NAMES[EXPRESSION]  # 17
LOW: NDArray[np.float32] = np.array([c.low for c in COEFFICIENTS], np.float32)
HIGH: NDArray[np.float32] = np.array([c.high for c in COEFFICIENTS], np.float32)


def neutral() -> NDArray[np.float32]:
    """The resting face: all zeros, ``[K]`` float32."""
    return np.zeros(COUNT, np.float32)


def vector(**values: float) -> NDArray[np.float32]:
    """A coefficient vector ``[K]`` float32 from keyword arguments, zeros elsewhere.

    Raises KeyError for a name that is not a coefficient.
    """
    out = neutral()
    for name, value in values.items():
        out[INDEX[name]] = value
    return out


def clip(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """`values` ``[..., K]`` limited to each coefficient's range, float32."""
    return np.clip(values, LOW, HIGH).astype(np.float32)
