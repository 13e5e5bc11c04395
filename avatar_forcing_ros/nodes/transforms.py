"""Where a point of one frame is in another: by tf2, or without it by the newest transforms.

Every ROS distribution has tf2_ros; ROS 2 from PyPI has not. The stand-in keeps the newest
transform of each frame, and knows nothing of history or interpolation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.node_base import NodeBase

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

TF_DEPTH = 100
MAX_DEPTH = 100  # of a tree of frames: deeper is a loop
Matrix = NDArray[np.float64]


def matrix(transform: Any) -> Matrix:
    """The homogeneous ``[4, 4]`` of a geometry_msgs Transform."""
    turn, shift = transform.rotation, transform.translation
    quaternion, found = [turn.x, turn.y, turn.z, turn.w], np.eye(4)
    if any(quaternion):  # a message that nobody filled in turns nothing
        found[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    found[:3, 3] = shift.x, shift.y, shift.z
    return found


class NewestTransforms:
    """The newest transform of each frame to its parent, as ``/tf`` and ``/tf_static`` say."""

    def __init__(self, node: NodeBase, group: CallbackGroup) -> None:
        self._node = node
        self._to_parent: dict[str, tuple[str, Matrix]] = {}
        static = QoSProfile(depth=TF_DEPTH, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, topic, self._take, qos, callback_group=group)
            for topic, qos in (("/tf", QoSProfile(depth=TF_DEPTH)), ("/tf_static", static))
        ]

    def _take(self, msg: Any) -> None:
        for one in msg.transforms:
            self._to_parent[one.child_frame_id] = one.header.frame_id, matrix(one.transform)

    def lookup(self, target: str, source: str) -> Matrix:
        """``[4, 4]`` from `source` to `target`. Raises LookupError where nothing connects them."""
        above = dict(self._way_up(source))
        for frame, from_target in self._way_up(target):
            if frame in above:
                return np.linalg.inv(from_target) @ above[frame]
        raise LookupError(f"no transform from {source!r} to {target!r}")

    def _way_up(self, frame: str) -> list[tuple[str, Matrix]]:
        """`frame` and all above it, with the ``[4, 4]`` from `frame` to each."""
        way = [(frame, np.eye(4))]
        while way[-1][0] in self._to_parent and len(way) < MAX_DEPTH:
            parent, step = self._to_parent[way[-1][0]]
            way.append((parent, step @ way[-1][1]))
        return way

    def close(self) -> None:
        """Close the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


class Tf2Transforms:
    """The same by tf2."""

    def __init__(self, node: NodeBase, group: CallbackGroup) -> None:
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def lookup(self, target: str, source: str) -> Matrix:
        """``[4, 4]`` from `source` to `target`, the newest. Raises LookupError."""
        try:
            return matrix(self._buffer.lookup_transform(target, source, Time()).transform)
        except tf2_ros.TransformException as error:
            raise LookupError(str(error)) from None

    def close(self) -> None:
        """Close the subscriptions."""
        self._listener.unregister()


class Transforms:
    """Points of any frame in one frame."""

    def __init__(self, node: NodeBase, group: CallbackGroup) -> None:
        self._source = (Tf2Transforms if tf2_ros else NewestTransforms)(node, group)

    def point_in(self, target: str, msg: Any) -> tuple[float, float, float]:
        """The place of a PointStamped in the frame `target`; BadMessage where it is not known."""
        at, frame = np.array([msg.point.x, msg.point.y, msg.point.z, 1.0]), msg.header.frame_id
        if frame and frame != target:
            try:
                at = self._source.lookup(target, frame) @ at
            except LookupError as error:
                raise BadMessage(
                    "frame",
                    "frame_id",
                    expected=f"{target!r}, or a frame that /tf connects with it",
                    got=f"{frame!r} ({error})",
                    remedy="publish that transform, or set the parameter base_frame_id",
                ) from None
        x, y, z = at[:3].tolist()
        return x, y, z

    def close(self) -> None:
        """Close the subscriptions."""
        self._source.close()
