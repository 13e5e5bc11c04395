"""Named expressions, and those of a valence and an arousal, as rig coefficients.

The names are those of ``hri_msgs/Expression`` (REP-155). Each has a place on the circumplex of
affect (Russell 1980: pleasant to the right, aroused upwards); a valence and an arousal show a
mixture of the names around that place, of the nearest most. Faces follow the action units that
basic emotions are coded with (EMFACS) as far as the rig has them; places and sizes are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import coefficients

Array = NDArray[np.float32]

NEUTRAL = "neutral"
# name: valence, arousal, and the coefficients; "smile" and the like move both sides
_FACES: dict[str, tuple[float, float, dict[str, float]]] = {
    NEUTRAL: (0.0, 0.0, {}),
    "angry": (-0.6, 0.7, {"brow_furrow": 1.0, "frown": 0.5, "upper_lip_raise": 0.15,
                          "blink": 0.1, "head_pitch": 0.04}),
    "sad": (-0.7, -0.4, {"frown": 0.75, "brow_up": 0.4, "brow_furrow": 0.2, "blink": 0.25,
                         "head_pitch": 0.12, "gaze_y": -0.3}),
    "happy": (0.8, 0.4, {"smile": 0.9, "cheek_raise": 0.6, "brow_up": 0.1}),
    "surprised": (0.2, 0.85, {"brow_up": 1.0, "jaw_open": 0.35}),
    "disgusted": (-0.7, 0.3, {"upper_lip_raise": 0.7, "brow_furrow": 0.5, "frown": 0.35,
                              "cheek_raise": 0.4, "blink": 0.2}),
    "scared": (-0.7, 0.8, {"brow_up": 0.8, "brow_furrow": 0.4, "frown": 0.35, "jaw_open": 0.15,
                           "head_pitch": -0.06}),
    "pleading": (-0.3, 0.2, {"brow_up": 0.7, "brow_furrow": 0.3, "frown": 0.2,
                             "head_pitch": 0.1, "gaze_y": 0.4}),
    "vulnerable": (-0.4, -0.1, {"brow_up": 0.5, "brow_furrow": 0.15, "frown": 0.25,
                                "blink": 0.1, "head_pitch": 0.08}),
    "despaired": (-0.85, 0.1, {"frown": 0.9, "brow_up": 0.6, "brow_furrow": 0.5, "blink": 0.3,
                               "head_pitch": 0.12}),
    "guilty": (-0.55, -0.2, {"frown": 0.4, "brow_up": 0.4, "brow_furrow": 0.2,
                             "head_pitch": 0.12, "gaze_y": -0.5}),
    "disappointed": (-0.5, -0.35, {"frown": 0.55, "brow_up": 0.15, "blink": 0.2,
                                   "head_roll": 0.05, "gaze_y": -0.2}),
    "embarrassed": (-0.2, 0.25, {"smile": 0.35, "blink": 0.2, "head_pitch": 0.08,
                                 "head_yaw": -0.08, "gaze_x": 0.4, "gaze_y": -0.4}),
    "horrified": (-0.9, 0.9, {"brow_up": 1.0, "brow_furrow": 0.5, "frown": 0.4,
                              "upper_lip_raise": 0.2, "jaw_open": 0.45, "head_pitch": -0.06}),
    "skeptical": (-0.2, 0.1, {"brow_up_left": 0.9, "brow_furrow": 0.3, "frown": 0.2,
                              "blink": 0.15, "head_roll": 0.06}),
    "annoyed": (-0.4, 0.4, {"brow_furrow": 0.5, "frown": 0.4, "blink": 0.25}),
    "furious": (-0.8, 0.95, {"brow_furrow": 1.0, "frown": 0.5, "upper_lip_raise": 0.5,
                             "head_pitch": 0.06}),
    "suspicious": (-0.3, 0.3, {"brow_furrow": 0.6, "blink": 0.4, "frown": 0.15,
                               "head_yaw": 0.1, "gaze_x": -0.4}),
    "rejected": (-0.65, -0.3, {"frown": 0.6, "brow_up": 0.4, "head_pitch": 0.15,
                               "gaze_x": 0.2, "gaze_y": -0.5}),
    "bored": (-0.3, -0.6, {"blink": 0.4, "frown": 0.2, "head_roll": 0.06, "gaze_y": 0.2}),
    "tired": (-0.15, -0.8, {"blink": 0.55, "frown": 0.15, "head_pitch": 0.08}),
    "asleep": (0.0, -1.0, {"blink": 1.0, "head_pitch": 0.15, "head_roll": 0.05}),
    "confused": (-0.2, 0.4, {"brow_furrow": 0.6, "brow_up_right": 0.7, "frown": 0.2,
                             "head_roll": -0.08}),
    "amazed": (0.6, 0.8, {"brow_up": 0.9, "smile": 0.4, "jaw_open": 0.3}),
    "excited": (0.8, 0.9, {"smile": 1.0, "cheek_raise": 0.6, "brow_up": 0.5, "jaw_open": 0.15}),
}  # fmt: skip

EXPRESSIONS: tuple[str, ...] = tuple(_FACES)
NEAREST = 0.15  # how near a place has to be for its name to be shown nearly alone


@dataclass(frozen=True)
class Expression:
    """What a face is to show: a `name` of `EXPRESSIONS`, or else `valence` and `arousal`, -1…1.

    Neutral, or neither, lets go of what was shown before: the generated motion is left alone.
    Raises ValueError for a name that does not exist and for numbers beyond their range.
    """

    name: str = ""
    valence: float = 0.0
    arousal: float = 0.0

    def __post_init__(self) -> None:
        if self.name and self.name not in _FACES:
            known = ", ".join(EXPRESSIONS)
            raise ValueError(f"no expression is called {self.name[:40]!r}; there are {known}")
        for what, value in (("valence", self.valence), ("arousal", self.arousal)):
            if not -1.0 <= value <= 1.0:  # NaN compares as False
                raise ValueError(f"{what}: expected -1 to 1, got {value:g}")

    @property
    def is_neutral(self) -> bool:
        """Whether nothing is to be shown."""
        return self.name == NEUTRAL or not (self.name or self.valence or self.arousal)

    def coefficients(self) -> Array:
        """What it adds to a resting face, ``[K]``."""
        if self.name or self.is_neutral:
            return _named(self.name or NEUTRAL)
        weights = [
            1.0 / (math.dist((self.valence, self.arousal), place[:2]) ** 2 + NEAREST**2) ** 2
            for place in _FACES.values()
        ]
        faces = np.stack([_named(name) for name in _FACES])
        return np.asarray(np.average(faces, axis=0, weights=weights), np.float32)


def _named(name: str) -> Array:
    values: dict[str, float] = {}
    for coefficient, value in _FACES[name][2].items():
        sides = (coefficient,) if coefficient in coefficients.INDEX else (
            f"{coefficient}_left", f"{coefficient}_right")  # fmt: skip
        values |= dict.fromkeys(sides, value)
    return coefficients.vector(**values)
