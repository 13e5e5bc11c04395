"""Protects the names of others: what is written is read again, and sides are the person's own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_names
from avatar_forcing_ros.rig.coefficients import COUNT, HIGH, INDEX, LOW, NAMES, vector
from avatar_forcing_ros.rig.face_names import ARKIT, FACS, FACS_WRITTEN, VRM

# what each vocabulary has no place for
NOT_IN_ARKIT = {"head_x", "head_y", "head_scale"}
NOT_IN_FACS = {"head_x", "head_y"}
NOT_IN_VRM = {*NAMES[:6], "lips_close", "upper_lip_raise", "lower_lip_down", "cheek_raise"}


def faces(count: int = 500) -> NDArray[np.float32]:
    share = np.random.default_rng(3).random((count, COUNT))
    return np.asarray(LOW + share * (HIGH - LOW), np.float32)


def with_zeros(values: NDArray[np.float32], names: set[str]) -> NDArray[np.float32]:
    out = values.copy()
    out[..., [INDEX[name] for name in names]] = 0.0
    return out


def with_equal_sides(values: NDArray[np.float32]) -> NDArray[np.float32]:
    out = values.copy()
    for name in ("smile", "blink", "brow_up"):
        out[..., INDEX[f"{name}_right"]] = out[..., INDEX[f"{name}_left"]]
    return out


def shown(words: face_names.Vocabulary, row: NDArray[np.float32]) -> dict[str, float]:
    """The names that are not 0."""
    return {name: pytest.approx(v) for name, v in zip(words.names, row.tolist(), strict=True) if v}


def test_arkit_has_its_52_shapes_once() -> None:
    assert len(set(face_names.ARKIT_SHAPES)) == 52
    assert len(set(ARKIT.names)) == 61
    for name in ARKIT.names:
        other = name.replace("Left", "Right") if "Left" in name else name.replace("left", "right")
        assert other in ARKIT.names


def test_arkit_there_and_back_is_the_same_face() -> None:
    values = faces()
    shapes = face_names.rig_to_arkit(values)
    assert shapes.dtype == np.float32
    assert (shapes[:, :52] >= 0.0).all()
    assert (shapes[:, :52] <= 1.0).all()
    back = face_names.arkit_to_rig(shapes)
    assert np.allclose(back, with_zeros(values, NOT_IN_ARKIT), atol=1e-6)


def test_facs_there_and_back_is_the_same_face_of_equal_sides() -> None:
    values = with_equal_sides(faces())
    back = face_names.facs_to_rig(face_names.rig_to_facs(values))
    assert np.allclose(back, with_zeros(values, NOT_IN_FACS), atol=1e-6)
    one_sided = face_names.rig_to_facs(vector(smile_left=0.8))
    assert shown(FACS, one_sided) == {"AU12": 0.4}


def test_vrm_there_and_back_is_the_same_face_of_open_lips() -> None:
    values = faces()
    for name in ("smile", "brow_up"):
        values[:, INDEX[f"{name}_right"]] = values[:, INDEX[f"{name}_left"]]
    values = with_zeros(values, NOT_IN_VRM)
    back = face_names.vrm_to_rig(face_names.rig_to_vrm(values))
    assert np.allclose(with_zeros(back, {"cheek_raise"}), values, atol=1e-6)


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ({"blink_left": 0.7}, {"eyeBlinkLeft": 0.7}),
        ({"smile_right": 0.5}, {"mouthSmileRight": 0.5}),
        # to the person's left: the left eye outwards, the right one inwards
        ({"gaze_x": 0.6}, {"eyeLookOutLeft": 0.6, "eyeLookInRight": 0.6,
                           "leftEyeYaw": -0.366, "rightEyeYaw": -0.366}),
        ({"gaze_y": -0.4}, {"eyeLookDownLeft": 0.4, "eyeLookDownRight": 0.4,
                            "leftEyePitch": 0.244, "rightEyePitch": 0.244}),
        # Live Link Face: to the left, up, towards the left shoulder
        ({"head_yaw": 0.3, "head_pitch": -0.2, "head_roll": -0.1},
         {"headYaw": 0.3, "headPitch": 0.2, "headRoll": 0.1}),
        ({"brow_up_left": 1.0}, {"browOuterUpLeft": 1.0, "browInnerUp": 0.5}),
        # lips that close over an open jaw close as much of it, and press
        ({"jaw_open": 0.5, "lips_close": 1.0}, {"jawOpen": 0.5, "mouthClose": 0.5,
                                                "mouthPressLeft": 1.0, "mouthPressRight": 1.0}),
    ],
)  # fmt: skip
def test_arkit_shapes_of_a_face(moved: dict[str, float], expected: dict[str, float]) -> None:
    assert shown(ARKIT, face_names.rig_to_arkit(vector(**moved))) == expected


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ({"head_yaw": 0.6}, {"AU51": 1.0}),  # to the left
        ({"head_yaw": -0.3}, {"AU52": 0.5}),
        ({"head_pitch": 0.25}, {"AU54": 0.5}),  # down
        ({"head_roll": 0.5}, {"AU56": 1.0}),  # to the right shoulder
        ({"gaze_x": 0.5, "gaze_y": -1.0}, {"AU61": 0.5, "AU64": 1.0}),
        ({"brow_furrow": 0.2}, {"AU4": 0.2}),
        ({"blink_left": 1.0, "blink_right": 1.0}, {"AU45": 1.0}),
        ({"smile_left": 1.0, "smile_right": 1.0, "cheek_raise": 0.6}, {"AU6": 0.6, "AU12": 1.0}),
    ],
)
def test_action_units_of_a_face(moved: dict[str, float], expected: dict[str, float]) -> None:
    units = face_names.rig_to_facs(vector(**moved))
    assert shown(FACS, units) == expected
    assert FACS_WRITTEN[[FACS.index[name] for name in expected]].all()


def test_vrm_closes_the_mouth_and_shares_a_blink() -> None:
    moved = vector(jaw_open=0.5, lips_close=1.0, blink_left=0.9, blink_right=0.6)
    weights = face_names.rig_to_vrm(moved)
    assert shown(VRM, weights) == {"blink": 0.6, "blinkLeft": 0.3}


def test_shapes_of_people_that_the_rig_lacks_move_what_is_nearest() -> None:
    def rig(**shapes: float) -> dict[str, float]:
        row = np.zeros(len(ARKIT.names), np.float32)
        for name, value in shapes.items():
            row[ARKIT.index[name]] = value
        values = face_names.arkit_to_rig(row)
        return {n: pytest.approx(v) for n, v in zip(NAMES, values.tolist(), strict=True) if v}

    assert rig(mouthFunnel=0.8) == {"mouth_pucker": 0.52}
    assert rig(browInnerUp=0.8) == {"brow_up_left": 0.4, "brow_up_right": 0.4}
    assert rig(mouthClose=0.4, jawOpen=0.4) == {"jaw_open": 0.4, "lips_close": 1.0}
    # at rest lips meet without being pressed
    assert rig(mouthClose=0.02, jawOpen=0.02) == {"jaw_open": 0.02, "lips_close": 0.2}
    assert rig(tongueOut=1.0, noseSneerLeft=1.0) == {}


def test_the_table_has_every_coefficient_and_all_that_is_written() -> None:
    lines = face_names.mapping_table().splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(NAMES)
    text = "\n".join(lines)
    for words in (ARKIT, FACS, VRM):
        for link in words.links:
            assert link.name in text or link.name in face_names.EYE_ANGLES
