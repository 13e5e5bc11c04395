"""Broadcasters of coordinate frames, as ``tf2_ros`` has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.qos import DurabilityPolicy, QoSProfile


class TransformBroadcaster:
    """Sends geometry_msgs/TransformStamped on ``/tf``."""

    def __init__(self, node: Any, qos: QoSProfile | int | None = None) -> None:
        qos = QoSProfile(depth=100) if qos is None else qos
        self._message = message_class("tf2_msgs/msg/TFMessage")
        self.pub_tf = node.create_publisher(self._message, "/tf", qos)

    def sendTransform(self, transform: Any) -> None:  # noqa: N802  (tf2's name)
        """Sends one transform or several."""
        several = list(transform) if isinstance(transform, Iterable) else [transform]
        self.pub_tf.publish(self._message(transforms=several))


class StaticTransformBroadcaster:
    """Sends transforms that do not change on ``/tf_static``; late listeners get all of them."""

    def __init__(self, node: Any, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._message = message_class("tf2_msgs/msg/TFMessage")
        self._sent: dict[str, Any] = {}
        self.pub_tf = node.create_publisher(self._message, "/tf_static", qos)

    def sendTransform(self, transform: Any) -> None:  # noqa: N802  (tf2's name)
        """Sends one transform or several, along with all that were sent before."""
        several = list(transform) if isinstance(transform, Iterable) else [transform]
        self._sent |= {one.child_frame_id: one for one in several}
        self.pub_tf.publish(self._message(transforms=list(self._sent.values())))
