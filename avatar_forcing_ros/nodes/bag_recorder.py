"""Records topics to a rosbag2 bag, as bytes that are never decoded."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionMode
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from avatar_forcing_ros.errors import MissingDependencyError, OutputError
from avatar_forcing_ros.nodes.graph_tools import (
    message_class,
    message_definition,
    subscription_qos,
    tool_node,
)

PERIOD_S = 0.2  # of looking for topics, and of commits: what a recording that is cut off lacks


class NumberedFile(Sqlite3Writer):
    """The file under the name that rosbag2 gives it, without which it cannot be reindexed."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        self.path = path / f"{path.name}_0.db3"
        self.conn = sqlite3.connect(self.path)
        self.conn.executescript(f"PRAGMA synchronous = OFF; {self.SQLITE_SCHEMA}")
        self.cursor = self.conn.cursor()


class BagWriter(Writer):
    """Writes version 8 to such a file: the newest that has QoS as one text, as Humble reads."""

    STORAGE_PLUGINS = {StoragePlugin.SQLITE3: NumberedFile}  # noqa: RUF012  (as the base has it)


def recorded_qos(offer: QoSProfile) -> Qos:
    """A publisher's profile as a bag holds it; the graph does not know its history."""

    def span(duration: Any) -> QosTime:
        return QosTime(*divmod(duration.nanoseconds, 10**9))

    return Qos(
        history=QosHistory.UNKNOWN,
        depth=0,
        reliability=QosReliability(int(offer.reliability)),
        durability=QosDurability(int(offer.durability)),
        deadline=span(offer.deadline),
        lifespan=span(offer.lifespan),
        liveliness=QosLiveliness(int(offer.liveliness)),
        liveliness_lease_duration=span(offer.liveliness_lease_duration),
        avoid_ros_namespace_conventions=False,
    )


class RecordedTopic:
    """One topic of the recording: how many messages were written, and how many never came.

    What never came is a gap in the numbers of a topic's only publisher.
    """

    def __init__(self, writer: BagWriter, name: str, type_name: str, infos: Sequence[Any]) -> None:
        self.name, self.publishers = name, len(infos)
        self.written = self.lost = self._number = 0
        self._writer = writer
        self._connection = writer.add_connection(
            name,
            type_name,
            msgdef=message_definition(type_name),
            rihs01=str(getattr(infos[0], "topic_type_hash", "INVALID")),
            offered_qos_profiles=[recorded_qos(info.qos_profile) for info in infos],
        )

    def write(self, data: bytes, info: dict[str, Any]) -> None:
        """A message, with what the middleware knows of it."""
        number = info.get("publication_sequence_number") or 0
        if self._number and self.publishers == 1:
            self.lost += max(0, number - self._number - 1)
        self._number = number
        received_ns = info.get("received_timestamp") or time.time_ns()
        self._writer.write(self._connection, received_ns, data)
        self.written += 1


class Recorder:
    """Writes what is published on `wanted`, or, if that is empty, on all topics not hidden.

    The file is SQLite's, which every ROS 2 reads, in short transactions: whatever ends the
    recording, what was committed can be read.
    """

    def __init__(self, path: Path, wanted: Sequence[str], report: Callable[[str], None]) -> None:
        self._path, self._wanted, self._report = path, wanted, report
        self._topics: dict[tuple[str, str], RecordedTopic | None] = {}

    def run(self, stop: threading.Event) -> list[RecordedTopic]:
        """Record until `stop`; raises OutputError for a path that is taken and a full disk."""
        if self._path.exists():
            raise self._error("a name that is free", "a file or folder", "choose another name")
        writer = BagWriter(self._path, version=8)
        writer.open()
        storage: Any = writer.storage
        try:
            self._record(writer, storage.conn, stop)
            writer.close()
        except (sqlite3.Error, OSError) as error:
            with contextlib.suppress(sqlite3.Error):
                storage.abort()
            writer.metapath.unlink(missing_ok=True)  # perhaps half of one
            remedy = "make room; what was recorded up to there can be read"
            raise self._error("a disk that takes the recording", str(error), remedy) from error
        return [topic for topic in self._topics.values() if topic]

    def _error(self, expected: str, got: str, remedy: str) -> OutputError:
        return OutputError(f"bag {self._path}", expected=expected, got=got, remedy=remedy)

    def _record(
        self, writer: BagWriter, database: sqlite3.Connection, stop: threading.Event
    ) -> None:
        next_s = 0.0
        with tool_node("rosbag2_recorder") as (node, executor):
            while not stop.is_set():
                if time.monotonic() >= next_s:
                    self._subscribe_to_new(writer, node)
                    database.commit()
                    next_s = time.monotonic() + PERIOD_S
                executor.spin_once(timeout_sec=PERIOD_S)
            before, written = -1, 0
            while before < written:  # take what had arrived by then
                before = written
                executor.spin_once(timeout_sec=0.0)
                written = sum(topic.written for topic in self._topics.values() if topic)

    def _subscribe_to_new(self, writer: BagWriter, node: Node) -> None:
        wanted = {node.resolve_topic_name(name) for name in self._wanted}
        for name, types in node.get_topic_names_and_types():
            if name not in wanted if wanted else "/_" in name:
                continue
            infos = node.get_publishers_info_by_topic(name)
            for type_name in types:
                offered = [info for info in infos if info.topic_type == type_name]
                if topic := self._topics.get((name, type_name)):
                    topic.publishers = len(offered)
                elif offered and (name, type_name) not in self._topics:
                    topic = self._subscribe(writer, node, name, offered)
                    self._topics[name, type_name] = topic

    def _subscribe(
        self, writer: BagWriter, node: Node, name: str, infos: Sequence[Any]
    ) -> RecordedTopic | None:
        type_name = infos[0].topic_type
        try:
            kind = message_class(type_name)
        except MissingDependencyError as error:
            self._report(f"Left out {name}: {error}")
            return None
        topic = RecordedTopic(writer, name, type_name, infos)
        has_info = hasattr(Subscription, "CallbackType")  # Humble's has none
        take = topic.write if has_info else lambda data: topic.write(data, {})
        qos = subscription_qos([info.qos_profile for info in infos])
        node.create_subscription(kind, name, take, qos, raw=True)
        self._report(f"Subscribed to {name}")
        return topic
