"""Plays a rosbag2 bag onto the graph, at the pace at which it was recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from avatar_forcing_ros.errors import ConfigError, MissingDependencyError
from avatar_forcing_ros.nodes.bag_files import open_bag
from avatar_forcing_ros.nodes.bag_qos import publisher_qos
from avatar_forcing_ros.nodes.graph_tools import message_class, tool_node

POLL_S = 0.02
# a publisher knows of a subscription slightly before that knows of the publisher, and what it
# sends best effort in between is lost
SETTLE_S = 0.2
ACKNOWLEDGE_S = 5.0


@dataclass(frozen=True)
class PlayOptions:
    """How a bag is played; `clock_hz` 0 publishes no `/clock`, no `topics` are all."""

    clock_hz: float
    rate: float
    topics: Sequence[str]
    wait_for_subscribers_s: float


class Player:
    """Publishes what a bag holds until its end or `stop`; `report` gets what is worth a line."""

    def __init__(
        self, options: PlayOptions, stop: threading.Event, report: Callable[[str], None]
    ) -> None:
        self._options, self._stop, self._report = options, stop, report
        self._publishers: dict[int, Publisher] = {}  # by connection
        self._clock: Publisher | None = None

    def play(self, path: Path) -> int:
        """Returns how many messages were sent; raises MediaError and ConfigError."""
        with open_bag(path) as bag, tool_node("rosbag2_player") as (node, _):
            if self._options.clock_hz:
                self._clock = node.create_publisher(Clock, "/clock", 10)
            self._offer(node, bag.connections)
            begin_ns = bag.start_time if bag.message_count else 0
            self._wait_for_subscribers(begin_ns)
            sent = self._send(bag, begin_ns)
            if not self._stop.is_set():
                for publisher in self._publishers.values():
                    publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGE_S))
        return sent

    def _offer(self, node: Node, connections: Sequence[Any]) -> None:
        """A publisher for each topic that is wanted and whose messages are known here."""
        wanted = {node.resolve_topic_name(name) for name in self._options.topics}
        there = {connection.topic for connection in connections}
        if wanted and not wanted & there:
            names = (", ".join(sorted(some)) for some in (there, wanted))
            raise ConfigError("--topics", expected=f"some of {next(names)}", got=next(names),
                              remedy="'avatar-forcing bag info' lists them")  # fmt: skip
        # two clocks at once would make time jump to and fro
        chosen = (wanted or there) - ({"/clock"} if self._clock else set())
        for connection in connections:
            topic = connection.topic
            try:
                kind = message_class(connection.msgtype, connection.digest)
            except MissingDependencyError as error:
                self._report(f"Left out {topic}: {error}")
                continue
            if topic in chosen:
                qos = publisher_qos(connection.ext.offered_qos_profiles)
                self._publishers[connection.id] = node.create_publisher(kind, topic, qos)

    def _wait_for_subscribers(self, begin_ns: int) -> None:
        """Until all topics are listened to, or the time is over: nobody need want all of them."""
        unheard = list(self._publishers.values())
        end_s = time.monotonic() + self._options.wait_for_subscribers_s
        while unheard and time.monotonic() < end_s and not self._stop.is_set():
            self._stand_still(begin_ns, POLL_S)
            unheard = [p for p in unheard if not p.get_subscription_count()]
        if self._options.wait_for_subscribers_s > 0:
            self._stand_still(begin_ns, SETTLE_S)
        for publisher in unheard:
            self._report(f"Nobody listens to {publisher.topic_name} yet")

    def _stand_still(self, now_ns: int, duration_s: float) -> None:
        """The bag's time stays where it is for so long."""
        end_s = time.monotonic() + duration_s
        while not self._stop.is_set() and (left_s := end_s - time.monotonic()) > 0:
            self._publish_clock(now_ns)
            self._stop.wait(min(left_s, POLL_S) if self._clock else left_s)

    def _send(self, bag: Any, begin_ns: int) -> int:
        """From `begin_ns` to the end; each due moment is reckoned from the start: nothing drifts.

        `/clock` goes before the messages of the same time.
        """
        connections = [c for c in bag.connections if c.id in self._publishers]
        if not connections:  # for rosbags that would be all of them
            return 0
        start_s, rate = time.monotonic(), self._options.rate
        step_ns = int(1e9 / self._options.clock_hz * rate) if self._clock else 0
        tick_ns, sent = begin_ns, 0

        def wait_until(stamp_ns: int) -> bool:
            due_s = start_s + (stamp_ns - begin_ns) / 1e9 / rate
            return not self._stop.wait(max(0.0, due_s - time.monotonic()))

        for connection, stamp_ns, data in bag.messages(connections):
            while step_ns and tick_ns <= stamp_ns and wait_until(tick_ns):
                self._publish_clock(tick_ns)
                tick_ns += step_ns
            if not wait_until(stamp_ns):
                break
            self._publishers[connection.id].publish(bytes(data))
            sent += 1
        return sent

    def _publish_clock(self, now_ns: int) -> None:
        if self._clock:
            self._clock.publish(Clock(clock=Time(nanoseconds=now_ns).to_msg()))
