"""Joints, the head's frame and the outline, against REP-103 and the rig's own geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from std_msgs.msg import Header

from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.rig.face_landmarks import HEAD_FROM_IMAGE, head_rotation
from avatar_forcing_ros.rig.portrait import load_landmark_file

pytest.importorskip("avatar_forcing_ros.msg", reason="own messages are not built")
convert = pytest.importorskip("avatar_forcing_ros.nodes.convert_robot")

LANDMARKS = Path(__file__).parents[2] / "models" / "portraits" / "ada.landmarks.json"
OVAL, LIPS, INNER_LIPS, RIGHT_EYE, LEFT_EYE = range(5)


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
    state = convert.values_to_joints(values, Header(frame_id="neck"))
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
        convert.values_to_joints(values, Header(), names=("neck_yaw",))


@pytest.mark.parametrize(
    ("moved", "forward"),
    [
        ({"head_yaw": 0.3}, (np.cos(0.3), np.sin(0.3), 0.0)),  # to the avatar's left
        ({"head_pitch": 0.3}, (np.cos(0.3), 0.0, -np.sin(0.3))),  # down
        ({"head_roll": 0.3}, (1.0, 0.0, 0.0)),
    ],
)
def test_the_face_looks_where_the_frame_points(moved: dict, forward: tuple) -> None:
    frame = convert.values_to_transform(vector(**moved), Header(), "avatar_head")
    looks = rotated(frame.transform.rotation, np.array([1.0, 0.0, 0.0]))
    assert looks.tolist() == pytest.approx(forward, abs=1e-6)


def test_a_roll_lowers_the_right_shoulder_side() -> None:
    frame = convert.values_to_transform(vector(head_roll=0.3), Header(), "avatar_head")
    up = rotated(frame.transform.rotation, np.array([0.0, 0.0, 1.0]))
    assert up[1] == pytest.approx(-np.sin(0.3))  # the crown goes to the right


def test_three_turns_at_once_are_the_rigs() -> None:
    yaw, pitch, roll = 0.5, -0.3, 0.4
    values = vector(head_yaw=yaw, head_pitch=pitch, head_roll=roll)
    q = convert.values_to_transform(values, Header(), "avatar_head").transform.rotation
    turn = HEAD_FROM_IMAGE @ head_rotation(yaw, pitch, roll) @ HEAD_FROM_IMAGE.T
    got = np.stack([rotated(q, axis) for axis in np.eye(3)], axis=1)
    assert np.abs(got - turn).max() < 1e-6
    assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1.0)


def test_the_frame_moves_in_metres() -> None:
    values = vector(head_x=0.1, head_y=0.2, head_scale=0.25)
    frame = convert.values_to_transform(values, Header(frame_id="rest"), "avatar_head")
    offset = frame.transform.translation
    assert (frame.header.frame_id, frame.child_frame_id) == ("rest", "avatar_head")
    assert (offset.x, offset.y, offset.z) == pytest.approx((0.192, 0.016, 0.032), abs=1e-6)
    wider = convert.values_to_transform(values, Header(), "avatar_head", head_width_m=0.32)
    assert wider.transform.translation.y == pytest.approx(0.032)


def test_outlines_are_closed_and_lie_as_in_a_face(landmarks_px: np.ndarray) -> None:
    markers = convert.landmarks_to_markers(landmarks_px, Header(frame_id="avatar_head")).markers
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


def test_outlines_do_not_depend_on_the_size_of_the_picture(landmarks_px: np.ndarray) -> None:
    small, large = (
        xyz(convert.landmarks_to_markers(points, Header()).markers[OVAL].points)
        for points in (landmarks_px, landmarks_px * np.float32(3) + np.float32(40))
    )
    assert np.abs(small - large).max() < 1e-6


def test_rviz_moves_lines_instead_of_adding_some(landmarks_px: np.ndarray) -> None:
    moved = landmarks_px.copy()
    moved[13] += 5.0
    first, second = (
        convert.landmarks_to_markers(points, Header()).markers for points in (landmarks_px, moved)
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
        convert.landmarks_to_markers(np.zeros((468, 3), np.float32), Header())
