"""Transforms reach those who listen, static ones also those who come late."""

from __future__ import annotations

from typing import Any

from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.qos import DurabilityPolicy, QoSProfile
from avatar_forcing_ros.standalone.tf import StaticTransformBroadcaster, TransformBroadcaster

TFMessage = message_class("tf2_msgs/msg/TFMessage")
Stamped = message_class("geometry_msgs/msg/TransformStamped")


def test_moving_frames(ros: Any) -> None:
    here = ros()
    node = here.node()
    heard: list[Any] = []
    node.create_subscription(TFMessage, "/tf", heard.append, 10)
    broadcaster = TransformBroadcaster(node)
    broadcaster.sendTransform(Stamped(child_frame_id="head"))
    broadcaster.sendTransform([Stamped(child_frame_id="a"), Stamped(child_frame_id="b")])
    here.until(lambda: len(heard) == 2)
    assert [t.child_frame_id for m in heard for t in m.transforms] == ["head", "a", "b"]


def test_static_frames_add_up(ros: Any) -> None:
    here = ros()
    node = here.node()
    broadcaster = StaticTransformBroadcaster(node)
    broadcaster.sendTransform(Stamped(child_frame_id="head"))
    broadcaster.sendTransform(Stamped(child_frame_id="eye"))
    heard: list[Any] = []
    late = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_subscription(TFMessage, "/tf_static", heard.append, late)
    here.until(lambda: heard)
    assert [t.child_frame_id for t in heard[0].transforms] == ["head", "eye"]
