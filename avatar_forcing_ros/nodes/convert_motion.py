"""Motion ↔ AvatarMotion messages, and motion → what a robot and rviz understand.

The rig's head angles are REP-103 rotations of the head frame already, so ``head_rpy`` holds them
as they are, in radians: x = head_roll, y = head_pitch, z = head_yaw. ``head_translation`` is in
head widths along the same axes (x forward out of the face, y to the avatar's left, z up):
y = head_x and z = head_y, while x is how far the head must come forward for its image to grow
by head_scale when it is seen from VIEW_DISTANCE_HEAD_WIDTHS away.

`names` and `values` hold the rig's coefficients, or ARKit's 52 blendshapes; the head's pose of the
latter is in ``head_rpy`` and ``head_translation`` alone.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, clip
from avatar_forcing_ros.rig.face_landmarks import HEAD_FROM_IMAGE, head_centre
from avatar_forcing_ros.rig.face_names import (
    ARKIT,
    ARKIT_SHAPES,
    HEAD_ANGLES,
    arkit_to_rig,
    rig_to_arkit,
)

Values = NDArray[np.float32]

# from where a portrait is seen: about a metre, as the renderer's perspective assumes
VIEW_DISTANCE_HEAD_WIDTHS = 6.0
JOINT_COEFFICIENTS = ("head_yaw", "head_pitch", "head_roll", "jaw_open")
LINE_WIDTH_M = 0.0015
MARKER_NAMESPACE = "avatar_face"


def motion_to_msg(
    header: Any,
    block_index: int,
    frame_in_block: int,
    latent: Values | None,
    values: Values,
    speech_level: float,
    speaking: bool,
    *,
    motion_names: str = "rig",
) -> Any:
    """The AvatarMotion of one frame.

    `latent` ``[D]`` float32 or None where the motion was measured; `values` ``[K]`` rig
    coefficients in the order of NAMES, which are sent as such or, where `motion_names` is
    ``arkit``, as ARKit's shapes. Raises ValueError for another shape of `values`.
    """
    if values.shape != (COUNT,):
        raise ValueError(f"expected {COUNT} rig coefficients, got shape {values.shape}")
    names, sent = NAMES, values
    if motion_names == "arkit":
        names, sent = ARKIT_SHAPES, rig_to_arkit(values)[: len(ARKIT_SHAPES)]
    return AvatarMotion(
        header=header,
        block_index=int(block_index),
        frame_in_block=int(frame_in_block),
        latent=_floats(np.zeros(0) if latent is None else latent),
        names=list(names),
        values=_floats(sent),
        head_rpy=_vector(head_rpy_rad(values)),
        head_translation=_vector(head_translation(values)),
        speech_level=float(speech_level),
        speaking=bool(speaking),
    )


def head_rpy_rad(values: Values) -> NDArray[np.float64]:
    """Roll, pitch and yaw ``[3]`` in rad about fixed REP-103 axes, of coefficients ``[K]``."""
    rows = [INDEX["head_roll"], INDEX["head_pitch"], INDEX["head_yaw"]]
    return values[rows].astype(np.float64)


def head_translation(values: Values) -> NDArray[np.float64]:
    """The head's offset ``[3]`` in head widths: forward, to the avatar's left, up."""
    left, up, nearer = (float(values[INDEX[n]]) for n in ("head_x", "head_y", "head_scale"))
    # sizes are as 1 / distance: from d away to d / (1 + nearer)
    return np.array([VIEW_DISTANCE_HEAD_WIDTHS * nearer / (1.0 + nearer), left, up])


def _floats(values: NDArray[Any]) -> array.array[float]:
    return array.array("f", np.asarray(values, np.float32).tobytes())


def _vector(xyz: NDArray[np.float64]) -> Any:
    x, y, z = xyz.tolist()
    return Vector3(x=x, y=y, z=z)


def msg_to_values(msg: Any) -> tuple[Values, tuple[str, ...]]:
    """Rig coefficients ``[K]`` float32 within their ranges, and the names that are not known.

    Names are the rig's or, where none of them is, ARKit's; they may come in any order, and those
    that are missing are 0. The unknown ones are ignored and handed back, to be logged. Raises
    BadMessage where names and values do not belong together, or a value is not finite.
    """
    names, given = tuple(msg.names), np.array(msg.values, np.float32)
    if len(names) != len(given):
        raise BadMessage(
            "names",
            "motion message",
            expected="as many names as values",
            got=f"{len(names)} names and {len(given)} values",
            remedy="publish a value for each name",
        )
    is_arkit, places, sources, unknown = _places(names)
    if len(set(places)) < len(places):
        raise BadMessage(
            "names",
            "motion message",
            expected="every name once",
            got="a name twice",
            remedy="publish one value for each name",
        )
    head = _head(msg) if is_arkit else {}
    numbers = np.concatenate((given, np.fromiter(head.values(), np.float32)))
    if not np.isfinite(numbers).all():
        raise BadMessage(
            "not_finite",
            "motion message",
            expected="finite values",
            got=f"{np.count_nonzero(~np.isfinite(numbers))} that are not",
            remedy="check the node that publishes them",
        )
    row = np.zeros(len(ARKIT.names) if is_arkit else COUNT, np.float32)
    row[list(places)] = given[list(sources)]
    if not is_arkit:
        return clip(row), unknown
    values = arkit_to_rig(row)
    for name, value in head.items():
        values[INDEX[name]] = value
    return clip(values), unknown


def _head(msg: Any) -> dict[str, float]:
    """The head's pose that is told beside ARKit's shapes, as coefficients.

    Angles that are among the names win.
    """
    rpy, offset = msg.head_rpy, msg.head_translation
    # the inverse of `head_translation`
    nearer = offset.x / max(VIEW_DISTANCE_HEAD_WIDTHS - offset.x, 1e-6)
    pose = {"head_x": offset.y, "head_y": offset.z, "head_scale": nearer}
    if set(HEAD_ANGLES).isdisjoint(msg.names):
        pose |= {"head_roll": rpy.x, "head_pitch": rpy.y, "head_yaw": rpy.z}
    return pose


# a publisher sends the same names with every frame
@lru_cache(maxsize=8)
def _places(
    names: tuple[str, ...],
) -> tuple[bool, tuple[int, ...], tuple[int, ...], tuple[str, ...]]:
    """Whether they are ARKit's; places in the vector, where in the message they come from, and
    unknown names."""
    is_arkit = INDEX.keys().isdisjoint(names) and not ARKIT.index.keys().isdisjoint(names)
    index = ARKIT.index if is_arkit else INDEX
    known = [(index[name], i) for i, name in enumerate(names) if name in index]
    unknown = tuple(name for name in names if name not in index)
    return is_arkit, tuple(place for place, _ in known), tuple(i for _, i in known), unknown


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
    values: Values, header: Any, names: Sequence[str], gains: Sequence[float]
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


def values_to_transform(values: Values, header: Any, child_frame: str, head_width_m: float) -> Any:
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


def landmarks_to_markers(landmarks_px: Values, header: Any, head_width_m: float) -> Any:
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
