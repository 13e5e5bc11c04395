"""Subscriptions that match what is really published, and the time of a message.

DDS connects two ends only where both name the same message and the subscriber asks for no more
than the publisher offers. So a subscription begins by asking for reliable delivery, which loses
nothing, and follows what is there: a publisher with best effort gets a subscription with best
effort, one that sends another of the messages that can be read gets that one. Each change is a
line in the log, and what cannot be followed is counted and logged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rclpy.callback_groups import CallbackGroup
from rclpy.qos import QoSReliabilityPolicy, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time

from avatar_forcing_ros.nodes.convert_image import Pixels, image_transport
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.interface import TABLE, events
from avatar_forcing_ros.nodes.middleware import is_fast_dds, profile_variable
from avatar_forcing_ros.nodes.node_base import NodeBase

FOLLOW_PERIOD_S = 1.0
REPLAY_LATE_NS = 60_000_000_000
RELIABLE, BEST_EFFORT = QoSReliabilityPolicy.RELIABLE, QoSReliabilityPolicy.BEST_EFFORT
LARGE_IMAGES = (
    "; Fast DDS has too little shared memory for large images unless configured: where they are "
    f"published, set {profile_variable()} to config/fastdds.xml of this package, or publish "
    "compressed ones"
)


class MessageTime(NamedTuple):
    """When a message is of, on the node's clock."""

    ns: int
    arrived: bool  # that is when it came: it jitters as the network does


class StampReader:
    """The time of a message: its header's stamp, or its arrival where there is none to trust."""

    def __init__(
        self, node: NodeBase, tolerance_s: float, *, replay: bool = False, required: bool = False
    ) -> None:
        """A stamp further than `tolerance_s` from now is not trusted; infinite: each one is.

        `replay`: messages of a bag may be served late, by as much as a busy machine needs. Their
        stamps are old then, and as good as ever: times of arrival would differ each time.
        `required`: BadMessage is raised instead where there is no stamp.
        """
        self._node, self._required = node, required
        self._tolerance_ns = tolerance_s * 1e9
        self._late_ns = max(self._tolerance_ns, REPLAY_LATE_NS if replay else 0)

    def __call__(self, msg: Any, topic: str) -> MessageTime:
        """The time of `msg`; what is wrong with its stamp is counted for `topic`."""
        now_ns = self._node.now_ns()
        header = getattr(msg, "header", None)
        stamp_ns = Time.from_msg(header.stamp).nanoseconds if header is not None else 0
        if not stamp_ns and self._required:
            raise BadMessage(
                "stamp_zero",
                "message",
                expected="a stamp, by which image and audio are put together",
                got="none",
                remedy="publish avatar_node's own messages",
            )
        if not stamp_ns:
            if header is not None:
                self._node.errors.count(
                    f"{topic} stamp_zero",
                    f"{topic}: messages without a stamp; the time of arrival is taken instead",
                )
            return MessageTime(now_ns, True)
        ahead_ns = stamp_ns - now_ns
        if now_ns > 0 and not -self._late_ns <= ahead_ns <= self._tolerance_ns:
            self._node.errors.count(
                f"{topic} stamp_far",
                f"{topic}: a stamp is {ahead_ns / 1e9:+.1f} s from now, expected "
                f"{self._tolerance_ns / 1e9:g} s at most; the time of arrival is taken instead: "
                "check the clocks of both machines, or the parameter stamp_tolerance_s",
            )
            return MessageTime(now_ns, True)
        return MessageTime(stamp_ns, False)


class MatchedSubscription:
    """One topic; `callback` gets every message of any of the classes in `messages`.

    The first of them is expected until a publisher shows otherwise. `like` names the topic of the
    table whose depth it has, by default its own, unless `depth` is given. Everything is done in
    the callback group `group`, which must be mutually exclusive: a subscription is not changed
    while it is served.
    """

    def __init__(
        self,
        node: NodeBase,
        topic: str,
        messages: Sequence[Any],
        callback: Callable[[Any], None],
        group: CallbackGroup,
        *,
        like: str = "",
        depth: int | None = None,
    ) -> None:
        self._node, self._topic, self._callback = node, topic, callback
        self._group = group
        self._changing, self._closed = threading.Lock(), False  # events come in other threads
        self._is_pending = False  # the last change failed, and is to be tried again
        self._messages = {_type_name(message): message for message in messages}
        self._type = _type_name(messages[0])
        self._profile = TABLE[like or topic].profile()
        self._profile.reliability = RELIABLE
        self._profile.depth = depth or self._profile.depth
        self.topic_name = str(node.resolve_topic_name(topic))  # with namespace and remapping
        with self._changing:  # an event may come at once
            self._subscription = self._subscribe(QoSOverridingOptions.with_default_policies())
        # a user who overrides it has decided
        self._is_overridden = self._profile.reliability != RELIABLE
        self._timer = node.create_steady_timer(FOLLOW_PERIOD_S, self.follow_publishers, group)

    @property
    def is_best_effort(self) -> bool:
        """Whether nothing better is asked for: a publisher offers no more than that."""
        return bool(self._profile.reliability == BEST_EFFORT)

    def follow_publishers(self) -> None:
        """Subscribe to what is published; done every second, and when something does not fit."""
        found = self._node.get_publishers_info_by_topic(self.topic_name)
        readable = [info for info in found if info.topic_type in self._messages]
        if found and not readable:
            self._node.errors.count(
                f"{self._topic} type",
                f"{self._topic}: expected {' or '.join(self._messages)}, got a publisher of "
                f"{', '.join(sorted({info.topic_type for info in found}))}, which is not received",
            )
        if not readable:
            return
        if len(found) > 1:
            self._node.errors.count(
                f"{self._topic} publishers",
                f"{self._topic}: expected one publisher, got {len(found)}; what comes twice for "
                "the same time is dropped: stop one of them, or remap it",
            )
        types = [info.topic_type for info in readable]
        type_name = self._type if self._type in types else types[0]
        offered = [i.qos_profile.reliability for i in readable if i.topic_type == type_name]
        reliability = BEST_EFFORT if BEST_EFFORT in offered else RELIABLE
        if self._is_overridden:
            reliability = self._profile.reliability
        fits = (type_name, reliability) == (self._type, self._profile.reliability)
        if not fits or self._is_pending:
            self._type, self._profile.reliability = type_name, reliability
            self._resubscribe()

    def close(self) -> None:
        """Take the subscription off the graph."""
        self._node.destroy_timer(self._timer)
        with self._changing:
            self._closed = True
            self._node.destroy_subscription(self._subscription)

    def _resubscribe(self) -> None:
        with self._changing:
            if self._closed:
                return
            self._node.destroy_subscription(self._subscription)
            was_pending, self._is_pending = self._is_pending, True
            try:
                # without overrides: rclpy would give those of the first time, though none were
                # asked
                self._subscription = self._subscribe(None)
            except RuntimeError:
                # while the executor still waits for the old one, its type is the topic's
                if was_pending:
                    raise
                return
            self._is_pending = False
        delivery = "best effort" if self.is_best_effort else "reliable"
        self._node.get_logger().info(
            f"{self._topic}: its publisher sends {self._type}, {delivery}; subscribed likewise"
        )

    def _subscribe(self, overridable: QoSOverridingOptions | None) -> Any:
        """Made with the profile, into which rclpy writes what was overridden."""

        def create(**more: Callable[[Any], None]) -> Any:
            return self._node.create_subscription(
                self._messages[self._type],
                self._topic,
                self._callback,
                self._profile,
                callback_group=self._group,
                event_callbacks=events.SubscriptionEventCallbacks(
                    incompatible_qos=self._on_incompatible, **more
                ),
                qos_overriding_options=overridable,
            )

        try:
            return create(message_lost=self._on_lost)
        except events.UnsupportedEventTypeError:  # not every middleware reports what it lost
            return create()

    def _on_incompatible(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        if policy == "RELIABILITY":
            self.follow_publishers()
            return
        self._node.errors.count(
            f"{self._topic} qos",
            f"{self._topic}: nothing is received from a publisher whose {policy} does not fit; "
            f"change it there, or here by qos_overrides.{self.topic_name}.subscription.*",
        )

    def _on_lost(self, event: Any) -> None:
        large = LARGE_IMAGES if self._type.endswith("/Image") and is_fast_dds() else ""
        self._node.errors.count(
            f"{self._topic} lost",
            f"{self._topic}: messages were lost on their way{large}",
            max(1, event.total_count_change),
        )


def subscribe_to_image(
    node: NodeBase,
    topic: str,
    transport: str,
    callback: Callable[[Any, Callable[[], Pixels]], None],
    group: CallbackGroup,
    *,
    depth: int | None = None,
) -> MatchedSubscription:
    """Calls `callback` with each message and what converts it, raw or compressed by `transport`.

    The latter may raise BadMessage.
    """
    full_name, message, to_rgb = image_transport(topic, transport)

    def take(msg: Any) -> None:
        callback(msg, lambda: to_rgb(msg))

    return MatchedSubscription(node, full_name, [message], take, group, like=topic, depth=depth)


def _type_name(message: Any) -> str:
    return f"{message.__module__.split('.')[0]}/msg/{message.__name__}"
