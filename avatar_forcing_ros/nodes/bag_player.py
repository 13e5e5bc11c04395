"""Plays a rosbag2 bag onto the graph, at the pace at which it was recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from avatar_forcing_ros.errors import ConfigError, MissingDependencyError
from avatar_forcing_ros.nodes.bag_files import open_bag
from avatar_forcing_ros.nodes.graph_tools import message_class, message_hash, tool_node
from avatar_forcing_ros.nodes.matching_qos import publisher_qos

POLL_S = 0.02
# a publisher knows of a subscription slightly before that knows of the publisher, and what it
# sends best effort in between is lost
SETTLE_S = 0.2
ACKNOWLEDGE_S = 5.0


@dataclass(frozen=True)
class PlayOptions:
    """How a bag is played. Times in seconds; `clock_hz` 0 publishes no `/clock`."""

    clock_hz: float = 0.0
    rate: float = 1.0
    delay_s: float = 0.0
    start_offset_s: float = 0.0
    loop: bool = False
    remaps: dict[str, str] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    wait_for_subscribers_s: float = 1.0


class Player:
    """Publishes what a bag holds until its end or `stop`; `report` gets what is worth a line."""

    def __init__(
        self,
        options: PlayOptions,
        stop: threading.Event,
        report: Callable[[str], None] = print,
    ) -> None:
        self._options = options
        self._stop = stop
        self._report = report
        self._publishers: dict[Any, Publisher] = {}
        self._clock: Publisher | None = None

    def play(self, path: Path) -> int:
        """Returns how many messages were sent; raises MediaError and ConfigError."""
        options = self._options
        sent = 0
        with open_bag(path) as bag, tool_node("rosbag2_player") as (node, _):
            if options.clock_hz:
                self._clock = node.create_publisher(Clock, "/clock", 10)
            self._offer(node, bag.connections)
            begin_ns = int(options.start_offset_s * 1e9)
            begin_ns += bag.start_time if bag.message_count else 0
            self._wait_for_subscribers(begin_ns)
            while self._publishers and not self._stop.is_set():
                self._stand_still(begin_ns, options.delay_s)
                sent += self._play_once(bag, begin_ns)
                if not options.loop or not sent:
                    break
            if not self._stop.is_set():
                for publisher in self._publishers.values():
                    publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGE_S))
        return sent

    def _offer(self, node: Node, connections: Sequence[Any]) -> None:
        """A publisher for each topic that is wanted and whose messages are known here."""
        wanted = {node.resolve_topic_name(name) for name in self._options.topics}
        remaps = {
            node.resolve_topic_name(a): node.resolve_topic_name(b)
            for a, b in self._options.remaps.items()
        }
        there = {connection.topic for connection in connections}
        if wanted and not wanted & there:
            raise ConfigError(
                "topics to play",
                expected=f"some of {', '.join(sorted(there))}",
                got=", ".join(sorted(wanted)),
                remedy="'avatar-forcing bag info' lists them",
            )
        # two clocks at once would make time jump to and fro
        banned = {"/clock"} if self._clock else set()
        for connection in connections:
            if connection.topic in (wanted or there) - banned:
                try:
                    kind = _known_class(connection)
                except MissingDependencyError as error:
                    self._report(f"Left out {connection.topic}: {error}")
                    continue
                topic = remaps.get(connection.topic, connection.topic)
                qos = publisher_qos(connection.ext.offered_qos_profiles)
                self._publishers[connection.id] = node.create_publisher(kind, topic, qos)

    def _wait_for_subscribers(self, begin_ns: int) -> None:
        """Until all topics are listened to, or the time is over: nobody need want all of them."""
        patience_s = self._options.wait_for_subscribers_s
        unheard = list(self._publishers.values())
        end_s = time.monotonic() + patience_s
        while unheard and time.monotonic() < end_s and not self._stop.is_set():
            self._stand_still(begin_ns, POLL_S)
            unheard = [p for p in unheard if not p.get_subscription_count()]
        if patience_s > 0:
            self._stand_still(begin_ns, SETTLE_S)
        for publisher in unheard:
            self._report(f"Nobody listens to {publisher.topic_name} yet")

    def _stand_still(self, now_ns: int, duration_s: float) -> None:
        """The bag's time stays where it is for so long."""
        end_s = time.monotonic() + duration_s
        while not self._stop.is_set() and (left_s := end_s - time.monotonic()) > 0:
            self._publish_clock(now_ns)
            self._stop.wait(min(left_s, POLL_S) if self._clock else left_s)

    def _play_once(self, bag: Any, begin_ns: int) -> int:
        """From `begin_ns` to the end; each due moment is reckoned from the start: nothing drifts.

        `/clock` goes before the messages of the same time.
        """
        connections = [c for c in bag.connections if c.id in self._publishers]
        start_s, rate = time.monotonic(), self._options.rate
        step_ns = int(1e9 / self._options.clock_hz * rate) if self._clock else 0
        tick_ns = begin_ns
        sent = 0

        def wait_until(stamp_ns: int) -> bool:
            due_s = start_s + (stamp_ns - begin_ns) / 1e9 / rate
            return not self._stop.wait(max(0.0, due_s - time.monotonic()))

        for connection, stamp_ns, data in bag.messages(connections, start=begin_ns):
            while step_ns and tick_ns <= stamp_ns:
                if not wait_until(tick_ns):
                    return sent
                self._publish_clock(tick_ns)
                tick_ns += step_ns
            if not wait_until(stamp_ns):
                return sent
            self._publishers[connection.id].publish(bytes(data))
            sent += 1
        return sent

    def _publish_clock(self, now_ns: int) -> None:
        if self._clock:
            self._clock.publish(Clock(clock=Time(nanoseconds=now_ns).to_msg()))


def _known_class(connection: Any) -> Any:
    """The class of a recorded topic, by the same definition; raises MissingDependencyError."""
    kind = message_class(connection.msgtype)
    here = message_hash(connection.msgtype)
    if here and connection.digest.startswith("RIHS01_") and connection.digest != here:
        raise MissingDependencyError(
            f"message {connection.msgtype}",
            expected=f"the definition with which it was recorded ({connection.digest[:15]}…)",
            got=f"another ({here[:15]}…)",
            remedy="source the workspace with the other package of that name",
        )
    return kind
