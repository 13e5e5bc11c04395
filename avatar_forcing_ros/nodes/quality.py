"""Publishers and subscriptions from the table, with qualities of service that can be overridden.

Every topic takes the standard ``qos_overrides`` parameters of ROS 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.time import Time
from std_msgs.msg import Header

from avatar_forcing_ros.nodes.interface import TOPICS, Topic

TABLE = {topic.name: topic for topic in TOPICS}


def profile(topic: Topic) -> QoSProfile:
    """The quality of service that `topic` has by default."""
    return QoSProfile(
        depth=topic.depth,
        reliability=QoSReliabilityPolicy.BEST_EFFORT
        if topic.sensor_data
        else QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
        if topic.latched
        else QoSDurabilityPolicy.VOLATILE,
    )


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header of that time and frame."""
    return Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=frame_id)


def subscribe(
    node: Node,
    name: str,
    message: Any,
    callback: Callable[[Any], None],
    group: CallbackGroup,
    *,
    like: str = "",
) -> Subscription:
    """A subscription to the topic `name`, with the quality of service of the table's `like`."""
    return node.create_subscription(
        message,
        name,
        callback,
        profile(TABLE[like or name]),
        callback_group=group,
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )


def publisher(node: Node, name: str, message: Any, *, managed: bool = True) -> Publisher:
    """A publisher of the topic `name`; a `managed` one is silent unless its node is active."""
    create = node.create_lifecycle_publisher if managed else node.create_publisher
    return create(
        message,
        name,
        profile(TABLE[name]),
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )
