"""Opens rosbag2 bags, finished or cut off, describes them, and plays them onto the graph."""

from __future__ import annotations

import datetime
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.time import Time
from rosbags.interfaces import Qos, QosDurability, QosReliability
from rosbags.rosbag2 import Reader, ReaderError
from rosgraph_msgs.msg import Clock

from avatar_forcing_ros.errors import ConfigError, MediaError, MissingDependencyError
from avatar_forcing_ros.nodes.graph_tools import QUEUE_DEPTH, message_class, tool_node

POLL_S = 0.02
LATCHED_DEPTH = 10
# a publisher knows of a subscription slightly before that knows of the publisher, and what it
# sends best effort in between is lost
MATCHING_S = 0.2
ACKNOWLEDGE_S = 5.0


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """rosbags' Reader of a bag's folder, or of one of its files; raises MediaError.

    A recording that was cut off has no metadata.yaml; its file is read itself then.
    """
    files = _files(path)
    is_cut_off = len(files) == 1 and not (path / "metadata.yaml").exists()
    try:
        for file in files:
            if file.suffix == ".db3":
                # rolls back what was half written, which the read-only reader would not
                uri = f"{file.resolve().as_uri()}?mode=rw"
                with closing(sqlite3.connect(uri, uri=True)) as database:
                    database.execute("SELECT count(*) FROM topics")
        reader = Reader(files[0] if is_cut_off else path)
        reader.open()
    except (ReaderError, FileNotFoundError, sqlite3.Error) as error:
        raise MediaError(
            f"bag {path}",
            expected="a folder with metadata.yaml, or an .mcap or .db3 file",
            got=" ".join(str(error).split()),
            remedy="check the path; 'ros2 bag reindex' may repair a recording that was cut off",
        ) from error
    with closing(reader):
        yield reader


def describe_bag(path: Path) -> str:
    """Files, times and topics of the bag at `path`, for people to read; raises MediaError."""
    with open_bag(path) as bag:
        size_mib = sum(file.stat().st_size for file in _files(path)) / 2**20
        lines = [f"{', '.join(file.name for file in _files(path))}: {size_mib:.1f} MiB"]
        if bag.message_count:
            start = datetime.datetime.fromtimestamp(bag.start_time / 1e9)
            lines.append(f"{start:%Y-%m-%d %H:%M:%S}, {bag.duration / 1e9:.3f} s")
        lines.append(f"{bag.message_count} messages")
        for c in sorted(bag.connections, key=lambda connection: connection.topic):
            lines.append(f"{c.msgcount:8} {c.topic} [{c.msgtype}]")
    return "\n".join(lines)


def _files(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if file.suffix in (".db3", ".mcap", ".zstd")]


def publisher_qos(recorded: Sequence[Qos]) -> QoSProfile:
    """The strongest of what was recorded, which matches whoever matched the original publisher."""
    qos = QoSProfile(depth=QUEUE_DEPTH)  # reliable and volatile
    if recorded and all(each.reliability == QosReliability.BEST_EFFORT for each in recorded):
        qos.reliability = QoSReliabilityPolicy.BEST_EFFORT
    if any(each.durability == QosDurability.TRANSIENT_LOCAL for each in recorded):
        qos.durability, qos.depth = QoSDurabilityPolicy.TRANSIENT_LOCAL, LATCHED_DEPTH
    return qos


@dataclass(frozen=True)
class PlayOptions:
    """How a bag is played; `clock_hz` 0 publishes no `/clock`, no `topics` are all."""

    clock_hz: float
    rate: float
    topics: Sequence[str]
    wait_for_subscribers_s: float


class Player:
    """Publishes what a bag holds, at the pace at which it was recorded, until its end or `stop`.

    `report` gets what is worth a line.
    """

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
            self._advertise(node, bag.connections)
            begin_ns = bag.start_time if bag.message_count else 0
            self._wait_for_subscribers(begin_ns)
            sent = self._send(bag, begin_ns)
            if not self._stop.is_set():
                for publisher in self._publishers.values():
                    publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGE_S))
        return sent

    def _advertise(self, node: Node, connections: Sequence[Any]) -> None:
        """A publisher for each topic that is wanted and whose messages are known here."""
        wanted = {node.resolve_topic_name(name) for name in self._options.topics}
        recorded = {connection.topic for connection in connections}
        if wanted and not wanted & recorded:
            names = (", ".join(sorted(some)) for some in (recorded, wanted))
            raise ConfigError("--topics", expected=f"some of {next(names)}", got=next(names),
                              remedy="'avatar-forcing bag info' lists them")  # fmt: skip
        # two clocks at once would make time jump back and forth
        chosen = (wanted or recorded) - ({"/clock"} if self._clock else set())
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
        """Until all topics have one, or the time is over: not every topic need be wanted."""
        unmatched = list(self._publishers.values())
        end_s = time.monotonic() + self._options.wait_for_subscribers_s
        while unmatched and time.monotonic() < end_s and not self._stop.is_set():
            self._hold_time(begin_ns, POLL_S)
            unmatched = [p for p in unmatched if not p.get_subscription_count()]
        if self._options.wait_for_subscribers_s > 0:
            self._hold_time(begin_ns, MATCHING_S)
        for publisher in unmatched:
            self._report(f"No subscriber to {publisher.topic_name} yet")

    def _hold_time(self, now_ns: int, duration_s: float) -> None:
        """The bag's time stays where it is for so long."""
        end_s = time.monotonic() + duration_s
        while not self._stop.is_set() and (left_s := end_s - time.monotonic()) > 0:
            self._publish_clock(now_ns)
            self._stop.wait(min(left_s, POLL_S) if self._clock else left_s)

    def _send(self, bag: Any, begin_ns: int) -> int:
        """From `begin_ns` to the end; each due time is counted from the start: nothing drifts.

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
