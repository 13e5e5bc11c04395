"""Motion → what a robot and rviz understand: joints, a head frame, a face outline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from avatar_forcing_ros.nodes.convert_motion import head_rpy_rad, head_translation
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.face_landmarks import HEAD_FROM_IMAGE, head_centre

Values = NDArray[np.float32]

JOINT_COEFFICIENTS = ("head_yaw", "head_pitch", "head_roll", "jaw_open")
JOINT_NAMES = ("head_pan", "head_tilt", "head_roll", "jaw")
JOINT_GAINS = (1.0, 1.0, 1.0, 0.4)  # a jaw that is fully open stands at about 23 degrees
HEAD_WIDTH_M = 0.16  # ear to ear
LINE_WIDTH_M = 0.0015
MARKER_NAMESPACE = "avatar_face"


def _ring(first: NDArray[np.intp], back: NDArray[np.intp]) -> list[int]:
    """A closed line: along one row, back along the other to where it began."""
    there, again = first.tolist(), back[::-1].tolist()
    line = there + [i for i in again if i not in there]
    return [*line, line[0]]


def _eye(eye: mesh.EyeIndices) -> list[int]:
    upper = np.array([eye.outer, *eye.upper, eye.inner])
    return _ring(upper, eye.lower)


# closed lines of landmarks; a line's place is its marker's id
OUTLINES: tuple[list[int], ...] = (
    _ring(mesh.OVAL, mesh.OVAL[:0]),
    _ring(mesh.LIP_UPPER[0], mesh.LIP_LOWER[0]),
    _ring(mesh.INNER_UPPER, mesh.INNER_LOWER),
    _eye(mesh.EYE_RIGHT),
    _eye(mesh.EYE_LEFT),
)


def values_to_joints(
    values: Values,
    header: Any,
    names: Sequence[str] = JOINT_NAMES,
    gains: Sequence[float] = JOINT_GAINS,
) -> Any:
    """JointState of the neck's pan, tilt and roll and of the jaw, from coefficients ``[K]``.

    Position = gain · coefficient: rad, positive to the left, down, towards the right shoulder and
    open; a joint that is mounted the other way round has a negative gain. A joint whose name is
    empty is left out. Raises ValueError unless there are four names and four gains.
    """
    joints = [
        (name, float(gain) * float(values[INDEX[coefficient]]))
        for coefficient, name, gain in zip(JOINT_COEFFICIENTS, names, gains, strict=True)
        if name
    ]
    return JointState(
        header=header, name=[name for name, _ in joints], position=[p for _, p in joints]
    )


def values_to_transform(
    values: Values, header: Any, child_frame: str, head_width_m: float = HEAD_WIDTH_M
) -> Any:
    """TransformStamped from the head's rest frame, `header.frame_id`, to its frame.

    `values` ``[K]`` are rig coefficients; the translation is in metres, axes as in REP-103.
    """
    x, y, z = (head_translation(values) * head_width_m).tolist()
    return TransformStamped(
        header=header,
        child_frame_id=child_frame,
        transform=Transform(
            translation=Vector3(x=x, y=y, z=z), rotation=quaternion(*head_rpy_rad(values).tolist())
        ),
    )


def quaternion(roll_rad: float, pitch_rad: float, yaw_rad: float) -> Any:
    """The Quaternion of roll, then pitch, then yaw about fixed axes."""
    (cr, cp, cy), (sr, sp, sy) = (
        turn(np.array([roll_rad, pitch_rad, yaw_rad]) / 2).tolist() for turn in (np.cos, np.sin)
    )
    return Quaternion(
        x=sr * cp * cy - cr * sp * sy,
        y=cr * sp * cy + sr * cp * sy,
        z=cr * cp * sy - sr * sp * cy,
        w=cr * cp * cy + sr * sp * sy,
    )


def landmarks_to_markers(
    landmarks_px: Values, header: Any, head_width_m: float = HEAD_WIDTH_M
) -> Any:
    """MarkerArray with the lines of face oval, lips and eyes in the head's frame, metres.

    `landmarks_px` ``[478, 3]`` are the portrait's with its expression but without the head's
    pose, which the frame `header.frame_id` has already. Namespace and ids stay the same, so that
    rviz moves the lines instead of adding some. Raises ValueError for another shape.
    """
    if landmarks_px.shape != (mesh.LANDMARK_COUNT, 3):
        raise ValueError(f"expected {mesh.LANDMARK_COUNT} landmarks, got {landmarks_px.shape}")
    width_px = np.linalg.norm(landmarks_px[mesh.EAR_LEFT] - landmarks_px[mesh.EAR_RIGHT])
    from_centre = (landmarks_px - head_centre(landmarks_px)).astype(np.float64)
    points_m = from_centre @ HEAD_FROM_IMAGE.T * (head_width_m / float(width_px))
    return MarkerArray(
        markers=[
            _line(points_m[outline], header, number) for number, outline in enumerate(OUTLINES)
        ]
    )


def _line(points_m: NDArray[np.float64], header: Any, number: int) -> Any:
    marker = Marker(
        header=header, ns=MARKER_NAMESPACE, id=number, type=Marker.LINE_STRIP, action=Marker.ADD
    )
    marker.pose.orientation.w = 1.0
    marker.scale.x = LINE_WIDTH_M
    marker.color = ColorRGBA(r=0.2, g=0.9, b=0.6, a=1.0)
    marker.points = [Point(x=x, y=y, z=z) for x, y, z in points_m.tolist()]
    return marker
