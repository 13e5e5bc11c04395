"""Protects motion messages, joints, head frame and outline: names decide, axes are REP-103."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from avatar_forcing_ros.msg import AvatarMotion
from hypothesis import given, settings
from hypothesis import strategies as st
from std_msgs.msg import Header

from avatar_forcing_ros.nodes import convert_motion as convert
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.rig.coefficients import COUNT, HIGH, LOW, NAMES, vector
from avatar_forcing_ros.rig.face_landmarks import HEAD_FROM_IMAGE, head_rotation
from avatar_forcing_ros.rig.face_names import ARKIT_SHAPES
from avatar_forcing_ros.rig.landmark_files import load_landmark_file

LANDMARKS = Path(__file__).parents[2] / "models" / "portraits" / "ada.landmarks.json"
JOINTS, GAINS = ("head_pan", "head_tilt", "head_roll", "jaw"), (1.0, 1.0, 1.0, 0.4)
WIDTH_M = 0.16
OVAL, LIPS, INNER_LIPS, RIGHT_EYE, LEFT_EYE = range(5)


def some_values() -> np.ndarray:
    share = np.linspace(0.1, 0.9, COUNT, dtype=np.float32)
    return LOW + share * (HIGH - LOW)


def message(values: np.ndarray, **changes):
    fields = {"latent": None, "speech_level": 0.5, "speaking": True} | changes
    return convert.motion_to_msg(Header(frame_id="avatar"), 3, 1, values=values, **fields)


def test_a_frame_there_and_back_is_the_same() -> None:
    values, latent = some_values(), np.arange(32, dtype=np.float32)
    msg = message(values, latent=latent)
    assert (msg.block_index, msg.frame_in_block, msg.header.frame_id) == (3, 1, "avatar")
    assert (msg.speech_level, msg.speaking) == (0.5, True)
    assert tuple(msg.names) == NAMES
    back, unknown = convert.msg_to_values(msg)
    assert back.dtype == np.float32
    assert np.array_equal(back, values)
    assert unknown == ()
    assert np.array_equal(msg.latent, latent)


def test_a_frame_in_arkits_names_there_and_back_is_the_same() -> None:
    values = some_values()
    msg = message(values, motion_names="arkit")
    assert tuple(msg.names) == ARKIT_SHAPES
    assert dict(zip(msg.names, msg.values, strict=True))["eyeBlinkLeft"] == pytest.approx(
        values[NAMES.index("blink_left")]
    )
    pairs = [("earWiggle", 1.0), *reversed(list(zip(msg.names, msg.values, strict=True)))]
    msg.names, msg.values = [n for n, _ in pairs], [v for _, v in pairs]
    back, unknown = convert.msg_to_values(msg)
    assert np.allclose(back, values, atol=1e-6)  # the head's pose is beside them
    assert unknown == ("earWiggle",)


def test_angles_among_arkits_names_win_over_those_beside_them() -> None:
    msg = message(vector(head_yaw=0.3, head_x=0.1), motion_names="arkit")
    msg.names, msg.values = ["headYaw", "jawOpen"], [0.2, 0.5]
    back, _ = convert.msg_to_values(msg)
    assert np.allclose(back, vector(head_yaw=0.2, head_x=0.1, jaw_open=0.5), atol=1e-6)


def test_names_of_both_kinds_are_the_rigs() -> None:
    msg = message(vector())
    msg.names, msg.values = ["jaw_open", "jawOpen"], [0.2, 0.5]
    back, unknown = convert.msg_to_values(msg)
    assert np.allclose(back, vector(jaw_open=0.2))
    assert unknown == ("jawOpen",)


def test_a_head_beside_arkits_names_that_is_no_number_is_refused() -> None:
    msg = message(vector(), motion_names="arkit")
    msg.head_rpy.x = float("nan")
    with pytest.raises(BadMessage, match="finite") as error:
        convert.msg_to_values(msg)
    assert error.value.reason == "not_finite"


@pytest.mark.parametrize(
    ("moved", "axis", "rad"),
    [
        ({"head_yaw": 0.3}, "z", 0.3),  # to the avatar's left: from x towards y
        ({"head_pitch": 0.2}, "y", 0.2),  # down: from z towards x
        ({"head_roll": 0.1}, "x", 0.1),  # to the right shoulder: from y towards z
    ],
)
def test_turns_keep_their_signs(moved: dict[str, float], axis: str, rad: float) -> None:
    rpy = message(vector(**moved)).head_rpy
    expected = {"x": 0.0, "y": 0.0, "z": 0.0, axis: rad}
    assert {"x": rpy.x, "y": rpy.y, "z": rpy.z} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("moved", "xyz"),
    [
        ({"head_x": 0.2}, (0.0, 0.2, 0.0)),
        ({"head_y": -0.1}, (0.0, 0.0, -0.1)),
        # a quarter larger at four fifths of the distance: 6 - 6 / 1.25 head widths nearer
        ({"head_scale": 0.25}, (1.2, 0.0, 0.0)),
        ({"head_scale": -0.25}, (-2.0, 0.0, 0.0)),
    ],
)
def test_moves_are_in_head_widths(moved: dict[str, float], xyz: tuple) -> None:
    offset = message(vector(**moved)).head_translation
    assert (offset.x, offset.y, offset.z) == pytest.approx(xyz, abs=1e-6)


def test_names_come_in_any_order_with_gaps_and_strangers() -> None:
    values = some_values()
    msg = message(values)
    pairs = list(zip(msg.names, msg.values, strict=True))
    random.Random(5).shuffle(pairs)
    pairs = [("ear_wiggle", 0.4), *[p for p in pairs if p[0] != "jaw_open"], ("nod", 9.0)]
    msg.names, msg.values = [n for n, _ in pairs], [v for _, v in pairs]
    back, unknown = convert.msg_to_values(msg)
    assert unknown == ("ear_wiggle", "nod")
    expected = values.copy()
    expected[NAMES.index("jaw_open")] = 0.0
    assert np.array_equal(back, expected)


def test_no_names_is_the_neutral_face() -> None:
    back, unknown = convert.msg_to_values(AvatarMotion())
    assert not back.any()
    assert unknown == ()


def test_values_are_limited() -> None:
    msg = AvatarMotion(names=["jaw_open", "head_yaw", "blink_left"], values=[3.0, -2.0, -0.1])
    back, _ = convert.msg_to_values(msg)
    assert np.array_equal(back, vector(jaw_open=1.0, head_yaw=-0.6))


@pytest.mark.parametrize(
    ("reason", "names", "values"),
    [
        ("names", ["jaw_open"], []),
        ("names", ["jaw_open"], [0.1, 0.2]),
        ("names", [], [0.1]),
        ("names", ["jaw_open", "jaw_open"], [0.1, 0.2]),
        ("not_finite", ["jaw_open"], [float("nan")]),
        ("not_finite", ["jaw_open", "head_yaw"], [0.1, float("inf")]),
    ],
)
def test_bad_values_are_reported(reason: str, names: list[str], values: list[float]) -> None:
    msg = SimpleNamespace(names=names, values=values)
    with pytest.raises(BadMessage, match=r"expected .*, got .*; ") as raised:
        convert.msg_to_values(msg)
    assert raised.value.reason == reason


def test_a_measured_motion_has_no_latent() -> None:
    assert len(message(some_values()).latent) == 0


def test_values_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="23 rig coefficients"):
        message(np.zeros(22, np.float32))


@settings(deadline=None, max_examples=100)
@given(
    names=st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), max_size=30),
    values=st.lists(st.floats(width=32), max_size=30),
)
def test_any_motion_gives_values_or_a_bad_message(names: list[str], values: list[float]) -> None:
    try:
        back, unknown = convert.msg_to_values(SimpleNamespace(names=names, values=values))
    except BadMessage:
        return
    assert ((back >= LOW) & (back <= HIGH)).all()
    assert set(unknown) == set(names) - set(NAMES)


@pytest.fixture(scope="module")
def landmarks_px() -> np.ndarray:
    return load_landmark_file(LANDMARKS)[0]


def xyz(points) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in points])


def rotated(q, v: np.ndarray) -> np.ndarray:
    """`v` ``[3]`` turned by the quaternion `q`."""
    axis = np.array([q.x, q.y, q.z])
    return v + 2 * np.cross(axis, np.cross(axis, v) + q.w * v)


def test_joints_follow_the_head_and_the_jaw() -> None:
    values = vector(head_yaw=0.3, head_pitch=-0.2, head_roll=0.1, jaw_open=0.5)
    state = convert.values_to_joints(values, Header(frame_id="neck"), JOINTS, GAINS)
    assert list(state.name) == ["head_pan", "head_tilt", "head_roll", "jaw"]
    assert list(state.position) == pytest.approx([0.3, -0.2, 0.1, 0.2])
    assert (len(state.velocity), len(state.effort)) == (0, 0)
    assert state.header.frame_id == "neck"


def test_joints_are_named_and_geared_by_the_caller() -> None:
    values = vector(head_yaw=0.3, head_pitch=-0.2, head_roll=0.1, jaw_open=0.5)
    state = convert.values_to_joints(
        values, Header(), names=("neck_yaw", "neck_pitch", "", "chin"), gains=(2, -1.0, 1.0, 1.0)
    )
    assert list(state.name) == ["neck_yaw", "neck_pitch", "chin"]
    assert list(state.position) == pytest.approx([0.6, 0.2, 0.5])
    with pytest.raises(ValueError, match="zip"):
        convert.values_to_joints(values, Header(), names=("neck_yaw",), gains=GAINS)


@pytest.mark.parametrize(
    ("moved", "forward"),
    [
        ({"head_yaw": 0.3}, (np.cos(0.3), np.sin(0.3), 0.0)),  # to the avatar's left
        ({"head_pitch": 0.3}, (np.cos(0.3), 0.0, -np.sin(0.3))),  # down
        ({"head_roll": 0.3}, (1.0, 0.0, 0.0)),
    ],
)
def test_the_face_looks_where_the_frame_points(moved: dict, forward: tuple) -> None:
    frame = convert.values_to_transform(vector(**moved), Header(), "avatar_head", WIDTH_M)
    looks = rotated(frame.transform.rotation, np.array([1.0, 0.0, 0.0]))
    assert looks.tolist() == pytest.approx(forward, abs=1e-6)


def test_a_roll_lowers_the_right_shoulder_side() -> None:
    frame = convert.values_to_transform(vector(head_roll=0.3), Header(), "avatar_head", WIDTH_M)
    up = rotated(frame.transform.rotation, np.array([0.0, 0.0, 1.0]))
    assert up[1] == pytest.approx(-np.sin(0.3))  # the crown goes to the right


def test_three_turns_at_once_are_the_rigs() -> None:
    yaw, pitch, roll = 0.5, -0.3, 0.4
    values = vector(head_yaw=yaw, head_pitch=pitch, head_roll=roll)
    q = convert.values_to_transform(values, Header(), "avatar_head", WIDTH_M).transform.rotation
    turn = HEAD_FROM_IMAGE @ head_rotation(yaw, pitch, roll) @ HEAD_FROM_IMAGE.T
    got = np.stack([rotated(q, axis) for axis in np.eye(3)], axis=1)
    assert np.abs(got - turn).max() < 1e-6
    assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1.0)


def test_the_frame_moves_in_metres() -> None:
    values = vector(head_x=0.1, head_y=0.2, head_scale=0.25)
    frame = convert.values_to_transform(values, Header(frame_id="rest"), "avatar_head", WIDTH_M)
    offset = frame.transform.translation
    assert (frame.header.frame_id, frame.child_frame_id) == ("rest", "avatar_head")
    assert (offset.x, offset.y, offset.z) == pytest.approx((0.192, 0.016, 0.032), abs=1e-6)
    wider = convert.values_to_transform(values, Header(), "avatar_head", head_width_m=0.32)
    assert wider.transform.translation.y == pytest.approx(0.032)


def test_outlines_are_closed_and_lie_as_in_a_face(landmarks_px: np.ndarray) -> None:
    markers = convert.landmarks_to_markers(
        landmarks_px, Header(frame_id="avatar_head"), WIDTH_M
    ).markers
    lines = [xyz(marker.points) for marker in markers]
    for marker, line in zip(markers, lines, strict=True):
        assert (marker.type, marker.action) == (marker.LINE_STRIP, marker.ADD)
        assert marker.header.frame_id == "avatar_head"
        assert marker.scale.x > 0
        assert marker.color.a > 0
        assert np.array_equal(line[0], line[-1])
        assert len({tuple(point) for point in line.tolist()}) == len(line) - 1
    middles = [line[:-1].mean(0) for line in lines]
    assert middles[LEFT_EYE][1] > 0.02 > -0.02 > middles[RIGHT_EYE][1]  # y to its left
    assert middles[LEFT_EYE][2] > middles[LIPS][2] + 0.03  # z up
    assert middles[LIPS][0] > middles[OVAL][0]  # x out of the face
    assert np.ptp(lines[OVAL][:, 1]) == pytest.approx(0.16, rel=0.1)
    assert np.ptp(lines[INNER_LIPS][:, 2]) < np.ptp(lines[LIPS][:, 2])


def test_outlines_do_not_depend_on_the_size_of_the_image(landmarks_px: np.ndarray) -> None:
    small, large = (
        xyz(convert.landmarks_to_markers(points, Header(), WIDTH_M).markers[OVAL].points)
        for points in (landmarks_px, landmarks_px * np.float32(3) + np.float32(40))
    )
    assert np.abs(small - large).max() < 1e-6


def test_rviz_moves_lines_instead_of_adding_some(landmarks_px: np.ndarray) -> None:
    moved = landmarks_px.copy()
    moved[13] += 5.0
    first, second = (
        convert.landmarks_to_markers(points, Header(), WIDTH_M).markers
        for points in (landmarks_px, moved)
    )
    keys = [(marker.ns, marker.id) for marker in first]
    assert keys == [(marker.ns, marker.id) for marker in second]
    assert len(set(keys)) == len(keys) == 5


def test_the_outline_is_as_wide_as_the_head_is_said_to_be(landmarks_px: np.ndarray) -> None:
    one, two = (
        xyz(convert.landmarks_to_markers(landmarks_px, Header(), width).markers[LIPS].points)
        for width in (0.16, 0.32)
    )
    assert np.abs(two - 2 * one).max() < 1e-9


def test_other_landmarks_are_refused() -> None:
    with pytest.raises(ValueError, match="478 landmarks"):
        convert.landmarks_to_markers(np.zeros((468, 3), np.float32), Header(), WIDTH_M)
