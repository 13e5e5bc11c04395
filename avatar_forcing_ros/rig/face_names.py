"""The rig's coefficients under the names of others: ARKit's blendshapes, FACS, VRM expressions.

Each table below links a coefficient to names of another vocabulary: `write` is what a coefficient
of 1 adds to that name's value, `read` what a value of 1 adds to the coefficient. What is not
linear (lips that are closed, lids in VRM) is said where it is computed. Left and right are the
person's own everywhere. Values of others are 0 to 1, angles in radians.

Sources: Apple's documentation of ``ARFaceAnchor.BlendShapeLocation`` (the 52 shapes and the axes
of a face: x to its left, y up, z out of it); Ekman, Friesen and Hager, *Facial Action Coding
System* (2002), numbers as in ``hri_msgs/FacialActionUnits``; VRM 1.0, ``VRMC_vrm`` expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import COUNT, HIGH, INDEX, NAMES, clip

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Link:
    """One coefficient and one name of another vocabulary, with the weights of both ways."""

    coefficient: str
    name: str
    write: float
    read: float


def _same(coefficient: str, *names: str) -> list[Link]:
    """The coefficient is written to all `names`; their mean is read."""
    return [Link(coefficient, name, 1.0, 1.0 / len(names)) for name in names]


def _mean(name: str, *coefficients: str) -> list[Link]:
    """The mean of the coefficients is written; each is read as `name` is."""
    return [Link(each, name, 1.0 / len(coefficients), 1.0) for each in coefficients]


def _signed(coefficient: str, more: Sequence[str], less: Sequence[str], unit: float = 1.0) -> Any:
    """Positive values go to the names in `more`, negative ones to `less`; `unit` is a 1 there."""
    for sign, names in ((1.0, more), (-1.0, less)):
        for name in names:
            yield Link(coefficient, name, sign / unit, sign * unit / len(names))


def _read(coefficient: str, name: str, weight: float) -> Link:
    """A name that is understood, and never written."""
    return Link(coefficient, name, 0.0, weight)


@dataclass(frozen=True)
class Vocabulary:
    """Names, in the order of their values, and how they are linked to coefficients."""

    names: tuple[str, ...]
    links: tuple[Link, ...]
    write: Array = field(init=False, repr=False)  # [K, N]
    read: Array = field(init=False, repr=False)  # [N, K]
    index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index = {name: i for i, name in enumerate(self.names)}
        write = np.zeros((COUNT, len(index)), np.float32)
        read = np.zeros((len(index), COUNT), np.float32)
        for link in self.links:
            write[INDEX[link.coefficient], index[link.name]] += link.write
            read[index[link.name], INDEX[link.coefficient]] += link.read
        for name, value in (("write", write), ("read", read), ("index", index)):
            object.__setattr__(self, name, value)

    def of(self, coefficient: str) -> Iterator[Link]:
        """The links of one coefficient."""
        return (link for link in self.links if link.coefficient == coefficient)


_SIDES = ("Left", "Right")
_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
_MOUTH = ("Smile", "Frown", "Dimple", "Stretch")
# in the order of Live Link Face's columns
ARKIT_SHAPES: tuple[str, ...] = (
    *(f"eye{what}{side}" for side in _SIDES for what in _EYE),
    *("jawForward", "jawRight", "jawLeft", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft"),
    *(f"mouth{what}{side}" for what in _MOUTH for side in _SIDES),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *(f"mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in _SIDES),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight"),
    "tongueOut",
)
# Live Link Face adds angles to them, which nobody documents. Those below are of a recording that
# was published with the tool LLV: eyes turn by 0.61 for a shape of 1, so the unit is the radian,
# and to the right and down. Against them the head of somebody who looks at the phone turns to the
# left and up; roll goes by Unreal's rotator, mirrored as yaw is: towards the left shoulder.
HEAD_ANGLES = ("headYaw", "headPitch", "headRoll")
EYE_ANGLES = tuple(f"{side}Eye{axis}" for side in ("left", "right")
                   for axis in ("Yaw", "Pitch", "Roll"))  # fmt: skip
EYE_TURN_RAD = 0.61  # 35 degrees, of a look of 1
MIN_JAW = 0.1  # lips that meet over a jaw that is hardly open are at rest, not pressed

ARKIT = Vocabulary(
    (*ARKIT_SHAPES, *HEAD_ANGLES, *EYE_ANGLES),
    (
        *_same("head_yaw", "headYaw"),
        Link("head_pitch", "headPitch", -1.0, -1.0),
        Link("head_roll", "headRoll", -1.0, -1.0),
        *_same("jaw_open", "jawOpen"),
        # and mouthClose, which is jaw_open * lips_close
        *_same("lips_close", "mouthPressLeft", "mouthPressRight"),
        *_same("mouth_wide", "mouthStretchLeft", "mouthStretchRight"),
        *_same("mouth_pucker", "mouthPucker"),
        _read("mouth_pucker", "mouthFunnel", 0.65),
        *_same("smile_left", "mouthSmileLeft"),
        *_same("smile_right", "mouthSmileRight"),
        *_same("frown", "mouthFrownLeft", "mouthFrownRight"),
        *_same("upper_lip_raise", "mouthUpperUpLeft", "mouthUpperUpRight"),
        *_same("lower_lip_down", "mouthLowerDownLeft", "mouthLowerDownRight"),
        *_same("blink_left", "eyeBlinkLeft"),
        *_same("blink_right", "eyeBlinkRight"),
        *_signed("gaze_x", ("eyeLookOutLeft", "eyeLookInRight"),
                 ("eyeLookInLeft", "eyeLookOutRight")),
        *_signed("gaze_y", ("eyeLookUpLeft", "eyeLookUpRight"),
                 ("eyeLookDownLeft", "eyeLookDownRight")),
        *(Link("gaze_x", f"{side}EyeYaw", -EYE_TURN_RAD, 0.0) for side in ("left", "right")),
        *(Link("gaze_y", f"{side}EyePitch", -EYE_TURN_RAD, 0.0) for side in ("left", "right")),
        # ARKit has one shape for both inner brows: what it has beyond the outer ones counts half
        Link("brow_up_left", "browOuterUpLeft", 1.0, 0.75),
        Link("brow_up_left", "browInnerUp", 0.5, 0.5),
        _read("brow_up_left", "browOuterUpRight", -0.25),
        Link("brow_up_right", "browOuterUpRight", 1.0, 0.75),
        Link("brow_up_right", "browInnerUp", 0.5, 0.5),
        _read("brow_up_right", "browOuterUpLeft", -0.25),
        *_same("brow_furrow", "browDownLeft", "browDownRight"),
        *_same("cheek_raise", "cheekSquintLeft", "cheekSquintRight"),
    ),
)  # fmt: skip

FACS_COUNT = 99  # hri_msgs/FacialActionUnits: a place for each number from 0 on


def _turn(coefficient: str, more: int, less: int) -> Any:
    """An action unit for each direction; its intensity is 1 at the end of the rig's range."""
    return _signed(coefficient, [f"AU{more}"], [f"AU{less}"], float(HIGH[INDEX[coefficient]]))


FACS = Vocabulary(
    tuple(f"AU{number}" for number in range(FACS_COUNT)),
    (
        *_turn("head_yaw", 51, 52),
        *_turn("head_pitch", 54, 53),
        *_turn("head_roll", 56, 55),
        *_turn("head_scale", 57, 58),
        *_same("jaw_open", "AU26"),
        _read("jaw_open", "AU27", 1.0),
        *_same("lips_close", "AU24"),
        *_same("mouth_wide", "AU20"),
        *_same("mouth_pucker", "AU18"),
        _read("mouth_pucker", "AU22", 0.65),
        *_mean("AU12", "smile_left", "smile_right"),
        *_same("frown", "AU15"),
        *_same("upper_lip_raise", "AU10"),
        *_same("lower_lip_down", "AU16"),
        *_mean("AU45", "blink_left", "blink_right"),
        *(_read(lid, "AU43", 1.0) for lid in ("blink_left", "blink_right")),
        *_turn("gaze_x", 61, 62),
        *_turn("gaze_y", 63, 64),
        *(Link(brow, unit, 0.5, 0.5) for unit in ("AU1", "AU2")
          for brow in ("brow_up_left", "brow_up_right")),
        *_same("brow_furrow", "AU4"),
        *_same("cheek_raise", "AU6"),
    ),
)  # fmt: skip
FACS_WRITTEN: NDArray[np.bool_] = (FACS.write != 0.0).any(0)  # [99] units that the rig has

VRM = Vocabulary(
    ("happy", "angry", "sad", "relaxed", "surprised", "aa", "ih", "ou", "ee", "oh", "blink",
     "blinkLeft", "blinkRight", "lookUp", "lookDown", "lookLeft", "lookRight", "neutral"),
    (
        # VRM cannot close lips: the vowels are written times 1 - lips_close
        *_same("jaw_open", "aa"),
        *_same("mouth_wide", "ih"),
        *_same("mouth_pucker", "ou"),
        _read("jaw_open", "ee", 0.4),
        _read("mouth_wide", "ee", 0.6),
        _read("jaw_open", "oh", 0.5),
        _read("mouth_pucker", "oh", 0.65),
        *_mean("happy", "smile_left", "smile_right"),
        _read("cheek_raise", "happy", 0.5),
        *(_read(corner, "relaxed", 0.3) for corner in ("smile_left", "smile_right")),
        *_same("frown", "sad"),
        # and blink, the part of it that both sides share
        *_same("blink_left", "blinkLeft"),
        *_same("blink_right", "blinkRight"),
        *(_read(lid, "blink", 1.0) for lid in ("blink_left", "blink_right")),
        *_signed("gaze_x", ["lookLeft"], ["lookRight"]),
        *_signed("gaze_y", ["lookUp"], ["lookDown"]),
        *_mean("surprised", "brow_up_left", "brow_up_right"),
        *_same("brow_furrow", "angry"),
    ),
)  # fmt: skip
VOWELS = [VRM.index[name] for name in ("aa", "ih", "ou")]
_ANGLES = slice(len(ARKIT_SHAPES), None)
_PRESSES = [ARKIT.index["mouthPressLeft"], ARKIT.index["mouthPressRight"]]


def rig_to_arkit(values: NDArray[np.floating[Any]]) -> Array:
    """Coefficients ``[..., K]`` as ARKit's shapes and angles ``[..., 61]``, order `ARKIT.names`.

    Left out: head_x, head_y and head_scale, which ARKit has no shapes for.
    """
    values = clip(values)
    out = values @ ARKIT.write  # [..., 61]
    closed = values[..., INDEX["lips_close"]] * values[..., INDEX["jaw_open"]]
    out[..., ARKIT.index["mouthClose"]] = closed
    np.clip(out[..., : len(ARKIT_SHAPES)], 0.0, 1.0, out=out[..., : len(ARKIT_SHAPES)])
    return np.asarray(out, np.float32)


def arkit_to_rig(shapes: NDArray[np.floating[Any]]) -> Array:
    """ARKit's shapes and angles ``[..., 61]`` as coefficients ``[..., K]`` within their ranges.

    Lips are as closed as they are pressed, or as much of an open jaw as they close. Angles of the
    eyes are left out: the shapes say where they look.
    """
    shapes = np.asarray(shapes, np.float32)
    values = shapes @ ARKIT.read  # [..., K]
    jaw = np.maximum(shapes[..., ARKIT.index["jawOpen"]], MIN_JAW)
    closed = shapes[..., ARKIT.index["mouthClose"]] / jaw
    pressed = shapes[..., _PRESSES].mean(-1)
    values[..., INDEX["lips_close"]] = np.maximum(pressed, closed)
    return clip(values)


def rig_to_facs(values: NDArray[np.floating[Any]]) -> Array:
    """Coefficients ``[..., K]`` as intensities ``[..., 99]`` of action units, 0 to 1.

    FACS has no sides: the mean of both is given. Left out: head_x and head_y.
    """
    return np.asarray(np.clip(clip(values) @ FACS.write, 0.0, 1.0), np.float32)


def facs_to_rig(intensities: NDArray[np.floating[Any]]) -> Array:
    """Intensities ``[..., 99]`` as coefficients ``[..., K]``, both sides alike."""
    return clip(np.clip(intensities, 0.0, 1.0).astype(np.float32) @ FACS.read)


def rig_to_vrm(values: NDArray[np.floating[Any]]) -> Array:
    """Coefficients ``[..., K]`` as weights ``[..., 18]`` of VRM's expressions, 0 to 1.

    Left out: the head's pose, which is a bone in VRM, lips_close but for the vowels that it takes
    away, upper_lip_raise, lower_lip_down, cheek_raise, and what differs between the sides of
    smiles and brows.
    """
    values = clip(values)
    out = np.clip(values @ VRM.write, 0.0, 1.0)
    out[..., VOWELS] *= 1.0 - values[..., [INDEX["lips_close"]]]
    sides = [VRM.index["blinkLeft"], VRM.index["blinkRight"]]
    both = out[..., sides].min(-1)
    out[..., VRM.index["blink"]] = both
    out[..., sides] -= both[..., None]
    return np.asarray(out, np.float32)


def vrm_to_rig(weights: NDArray[np.floating[Any]]) -> Array:
    """Weights ``[..., 18]``, order `VRM.names`, as coefficients ``[..., K]``."""
    return clip(np.asarray(weights, np.float32) @ VRM.read)


def mapping_table() -> str:
    """Lines of text: every coefficient, and its names and weights in the three vocabularies."""
    head = ("coefficient", "ARKit", "FACS", "VRM 1.0")
    rows = [
        (name, *(_cell(list(words.of(name)), name) for words in (ARKIT, FACS, VRM)))
        for name in NAMES
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in chain([head], [["-" * width for width in widths]], rows)
    ]
    return "\n".join(lines)


def _cell(links: list[Link], coefficient: str) -> str:
    """``name``, ``0.5 name`` or ``-name`` of all that is written; ``(name)`` is read alone."""
    written = [_term(link) for link in links if link.write and link.name not in EYE_ANGLES]
    if coefficient == "lips_close" and any(link.name in ARKIT_SHAPES for link in links):
        written.append("mouthClose=lips_close*jaw_open")
    names = {link.name for link in links if link.write}
    read_only = [f"({link.name})" for link in links if link.name not in names and link.read > 0.0]
    return " ".join([*written, *read_only]) or "-"


def _term(link: Link) -> str:
    weight = abs(link.write)
    number = "" if weight == 1.0 else f"{weight:.3g}*"
    return f"{'-' if link.write < 0 else ''}{number}{link.name}"
