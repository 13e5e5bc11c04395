"""Subscriptions that fit what is really published.

DDS connects two ends only where both name the same message and the subscriber asks for no more
than the publisher offers. So a subscription begins by asking for reliable delivery, which loses
nothing, and follows what is there: a publisher with best effort gets a subscription with best
effort, one that sends another of the messages that can be read gets that one. Each change is a
line in the log, and what cannot be followed is counted and told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSReliabilityPolicy, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions

from avatar_forcing_ros.nodes import qos
from avatar_forcing_ros.nodes.diagnostics import ErrorCounter
from avatar_forcing_ros.nodes.middleware import is_fast_dds, profile_variable
from avatar_forcing_ros.nodes.qos import SubscriptionEventCallbacks, UnsupportedEventTypeError

FOLLOW_PERIOD_S = 1.0
LARGE = (
    "; Fast DDS has too little shared memory for large pictures unless told otherwise: where they "
    f"are published, set {profile_variable()} to config/fastdds.xml of this package, or publish "
    "compressed ones"
)


class MatchedSubscription:
    """One topic; `callback` gets every message of any of the classes in `messages`.

    The first of them is expected until a publisher shows otherwise. `like` names the topic of the
    table whose depth it has, by default its own, unless `depth` is given. Everything is done in
    the callback group `group`, which must be mutually exclusive: a subscription is not changed
    while it is served.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        messages: Sequence[Any],
        callback: Callable[[Any], None],
        errors: ErrorCounter,
        group: CallbackGroup,
        *,
        like: str = "",
        depth: int | None = None,
    ) -> None:
        self._node, self._topic, self._callback = node, topic, callback
        self._errors, self._group = errors, group
        self._changing, self._closed = threading.Lock(), False  # for what comes from elsewhere
        self._messages = {_type_name(message): message for message in messages}
        self._type = _type_name(messages[0])
        self._profile = qos.profile(qos.TABLE[like or topic])
        self._profile.reliability = QoSReliabilityPolicy.RELIABLE
        self._profile.depth = depth or self._profile.depth
        self.topic_name = str(node.resolve_topic_name(topic))  # with namespace and remapping
        with self._changing:  # an event may come at once, in another thread
            self._subscription = self._subscribe(QoSOverridingOptions.with_default_policies())
        # a user who overrides it has decided
        self._is_overridden = self._profile.reliability != QoSReliabilityPolicy.RELIABLE
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(FOLLOW_PERIOD_S, self.follow_publishers, group, steady)

    @property
    def is_best_effort(self) -> bool:
        """Whether nothing better is asked for: a publisher offers no more than that."""
        return bool(self._profile.reliability == QoSReliabilityPolicy.BEST_EFFORT)

    def follow_publishers(self) -> None:
        """Subscribe to what is published; done every second, and when something does not fit."""
        found = self._node.get_publishers_info_by_topic(self.topic_name)
        if not found:
            return
        readable = [info for info in found if info.topic_type in self._messages]
        if not readable:
            self._errors.count(
                f"{self._topic} type",
                f"{self._topic}: expected {' or '.join(self._messages)}, got a publisher of "
                f"{', '.join(sorted({info.topic_type for info in found}))}, which is not received",
            )
            return
        if len(found) > 1:
            self._errors.count(
                f"{self._topic} publishers",
                f"{self._topic}: expected one publisher, got {len(found)}; what comes twice for "
                "the same time is dropped: stop one of them, or remap it",
            )
        types = [info.topic_type for info in readable]
        type_name = self._type if self._type in types else types[0]
        offered = [
            info.qos_profile.reliability for info in readable if info.topic_type == type_name
        ]
        policies = QoSReliabilityPolicy
        lowest = policies.BEST_EFFORT if policies.BEST_EFFORT in offered else policies.RELIABLE
        if self._is_overridden:
            lowest = self._profile.reliability
        if (type_name, lowest) == (self._type, self._profile.reliability):
            return
        self._type, self._profile.reliability = type_name, lowest
        delivery = "best effort" if self.is_best_effort else "reliable"
        self._node.get_logger().info(
            f"{self._topic}: its publisher sends {type_name}, {delivery}; subscribed likewise"
        )
        with self._changing:
            if self._closed:
                return
            self._node.destroy_subscription(self._subscription)
            # without overrides: rclpy would give those of the first time, though none were asked
            self._subscription = self._subscribe(None)

    def close(self) -> None:
        """Take the subscription off the graph."""
        self._node.destroy_timer(self._timer)
        with self._changing:
            self._closed = True
            self._node.destroy_subscription(self._subscription)

    def _subscribe(self, overridable: QoSOverridingOptions | None) -> Any:
        """Made with the profile, into which rclpy writes what was overridden."""

        def create(events: SubscriptionEventCallbacks) -> Any:
            return self._node.create_subscription(
                self._messages[self._type],
                self._topic,
                self._callback,
                self._profile,
                callback_group=self._group,
                event_callbacks=events,
                qos_overriding_options=overridable,
            )

        incompatible = self._on_incompatible
        try:
            return create(
                SubscriptionEventCallbacks(
                    incompatible_qos=incompatible, message_lost=self._on_lost
                )
            )
        except UnsupportedEventTypeError:  # not every middleware tells what it lost
            return create(SubscriptionEventCallbacks(incompatible_qos=incompatible))

    def _on_incompatible(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        if policy == "RELIABILITY":
            self.follow_publishers()
            return
        self._errors.count(
            f"{self._topic} qos",
            f"{self._topic}: nothing is received from a publisher whose {policy} does not fit; "
            f"change it there, or here by qos_overrides.{self.topic_name}.subscription.*",
        )

    def _on_lost(self, event: Any) -> None:
        large = LARGE if self._type.endswith("/Image") and is_fast_dds() else ""
        self._errors.count(
            f"{self._topic} lost",
            f"{self._topic}: messages were lost on their way{large}",
            max(1, event.total_count_change),
        )


def _type_name(message: Any) -> str:
    return f"{message.__module__.split('.')[0]}/msg/{message.__name__}"
