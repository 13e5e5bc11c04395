"""Publishers and subscriptions from the table, with qualities of service that can be overridden.

Every topic takes the standard ``qos_overrides`` parameters of ROS 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.time import Time
from std_msgs.msg import Header

from avatar_forcing_ros.nodes.health import Troubles
from avatar_forcing_ros.nodes.interface import TOPICS, Topic

try:
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

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
    errors: Troubles,
    *,
    like: str = "",
    best_effort: bool | None = None,
    on_incompatible: Callable[[], None] | None = None,
) -> Subscription:
    """A subscription to the topic `name`, with the quality of service of the table's `like`.

    `best_effort` replaces what the table says of reliability. A publisher whose quality of service
    does not fit, and messages that the middleware lost, are counted in `errors`; `on_incompatible`
    is called instead where such a publisher can be answered.
    """
    qos = profile(TABLE[like or name])
    if best_effort is not None:
        reliabilities = QoSReliabilityPolicy
        qos.reliability = reliabilities.BEST_EFFORT if best_effort else reliabilities.RELIABLE

    def incompatible(event: Any) -> None:
        if on_incompatible:
            on_incompatible()
            return
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        errors.note(
            f"{name} qos",
            f"{name}: nothing is received from a publisher whose {policy} does not fit; change it "
            f"there, or here with the parameter qos_overrides.{name}.subscription.*",
        )

    def lost(event: Any) -> None:
        for _ in range(max(1, event.total_count_change)):
            errors.note(f"{name} lost", f"{name}: the middleware lost a message")

    def create(events: SubscriptionEventCallbacks) -> Subscription:
        return node.create_subscription(
            message,
            name,
            callback,
            qos,
            callback_group=group,
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    try:
        return create(
            SubscriptionEventCallbacks(incompatible_qos=incompatible, message_lost=lost)
        )
    except UnsupportedEventTypeError:  # not every middleware tells what it lost
        return create(SubscriptionEventCallbacks(incompatible_qos=incompatible))


def silent_events() -> SubscriptionEventCallbacks:
    """Events of a subscription that need not fit every publisher."""
    return SubscriptionEventCallbacks(incompatible_qos=lambda _: None)


def publisher(
    node: Node, name: str, message: Any, errors: Troubles | None = None, *, managed: bool = True
) -> Publisher:
    """A publisher of the topic `name`; a `managed` one is silent unless its node is active.

    A subscriber whose quality of service does not fit is counted in `errors`.
    """
    create = node.create_lifecycle_publisher if managed else node.create_publisher

    def incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        sentence = (
            f"{name}: a subscriber asks for a {policy} that is not offered, and gets nothing; "
            f"change it there, or here with the parameter qos_overrides.{name}.publisher.*"
        )
        if errors:
            errors.note(f"{name} qos", sentence)
        else:
            node.get_logger().warning(sentence)

    return create(
        message,
        name,
        profile(TABLE[name]),
        event_callbacks=PublisherEventCallbacks(incompatible_qos=incompatible),
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )
