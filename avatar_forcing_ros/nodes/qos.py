"""Publishers from the table of topics, with QoS profiles that can be overridden.

Every topic takes the standard ``qos_overrides`` parameters of ROS 2.
"""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecyclePublisher
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from std_msgs.msg import Header

from avatar_forcing_ros.nodes.diagnostics import ErrorCounter
from avatar_forcing_ros.nodes.interface import TOPICS, Topic

try:
    from rclpy import event_handler
except ImportError:  # ROS 2 Humble
    from rclpy import qos_event as event_handler

events: Any = event_handler
TABLE = {topic.name: topic for topic in TOPICS}


def profile(topic: Topic) -> QoSProfile:
    """The QoS profile that `topic` has by default."""
    found = QoSProfile(depth=topic.depth)  # reliable and volatile
    if topic.sensor_data:
        found.reliability = QoSReliabilityPolicy.BEST_EFFORT
    if topic.latched:
        found.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return found


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header of that time and frame."""
    return Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=frame_id)


def silent_events() -> Any:
    """Events of a subscription that need not fit every publisher."""
    return events.SubscriptionEventCallbacks(incompatible_qos=lambda _: None)


def publisher(
    node: Node, name: str, message: Any, errors: ErrorCounter, *, managed: bool = True
) -> Publisher:
    """A publisher of the topic `name`; a `managed` one is silent unless its node is active.

    A subscriber whose QoS does not fit is counted in `errors`.
    """
    create = node.create_lifecycle_publisher if managed else node.create_publisher

    def incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        errors.count(
            f"{name} qos",
            f"{name}: a subscriber asks for more {policy} than is offered, and receives nothing; "
            f"change it there, or here by qos_overrides.{name}.publisher.*",
        )

    return create(
        message,
        name,
        profile(TABLE[name]),
        event_callbacks=events.PublisherEventCallbacks(incompatible_qos=incompatible),
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )


def destroy_publisher(node: Node, publisher: Publisher) -> None:
    """Take a publisher of either kind off the graph; a lifecycle node keeps a list of its own."""
    if isinstance(publisher, LifecyclePublisher):
        node.destroy_lifecycle_publisher(publisher)
    else:
        node.destroy_publisher(publisher)
