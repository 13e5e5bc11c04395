"""Records topics to a rosbag2 bag, as bytes that are never decoded."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionMode
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from avatar_forcing_ros.errors import MissingDependencyError, OutputError
from avatar_forcing_ros.nodes.graph_tools import message_class, message_definition, tool_node
from avatar_forcing_ros.nodes.matching_qos import recorded_qos, subscription_qos

DISCOVERY_PERIOD_S = 0.1
COMMIT_PERIOD_S, COMMIT_BYTES = 0.5, 2**22  # what a recording that is cut off loses at most
MAX_QUEUED_BYTES = 2**28  # that may wait for the disk before messages are lost


class NumberedFile(Sqlite3Writer):
    """The file under the name that rosbag2 gives it, without which it cannot be reindexed."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        self.path = path / f"{path.name}_0.db3"
        self.conn = sqlite3.connect(self.path)
        self.conn.executescript(f"PRAGMA synchronous = NORMAL; {self.SQLITE_SCHEMA}")
        self.cursor = self.conn.cursor()


class NumberedWriter(Writer):
    """Writes such a file."""

    STORAGE_PLUGINS = {StoragePlugin.SQLITE3: NumberedFile}  # noqa: RUF012  (as the base has it)


@dataclass
class RecordedTopic:
    """One topic of the recording: messages that were written, and that were lost."""

    name: str
    type_name: str
    infos: Sequence[Any]
    written: int = 0
    lost: int = 0
    connection: Any = None


class Recorder:
    """Writes what is published on `topics`, or on all that are not hidden if there are none.

    Two threads: one takes messages and stamps them, the other writes; so a slow disk shifts no
    stamp. The file is SQLite's, which every ROS 2 reads, in short transactions: whatever ends
    the recording, what was committed can be read. Raises OutputError for a folder that is there
    already.
    """

    def __init__(
        self, path: Path, topics: Sequence[str], report: Callable[[str], None] = print
    ) -> None:
        if path.exists():
            raise OutputError(
                f"bag {path}",
                expected="a name that is free",
                got="a file or folder of that name",
                remedy="choose another with --output, or remove it",
            )
        self._path = path
        self._wanted = topics
        self._report = report
        # the newest version that says QoS as one text, which is what Humble reads
        self._writer = NumberedWriter(path, version=8)
        self._topics: dict[tuple[str, str], RecordedTopic] = {}
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # each is counted by one thread alone
        self._taken = self._taken_bytes = self._written_bytes = 0

    def run(self, stop: threading.Event) -> list[RecordedTopic]:
        """Record until `stop` is set; raises OutputError where the disk is full."""
        self._writer.open()
        storage: Any = self._writer.storage
        thread = threading.Thread(target=self._receive, args=(stop,))
        thread.start()
        try:
            self._write_until_end(storage.conn)
            self._writer.close()
        except (sqlite3.Error, OSError) as error:
            with contextlib.suppress(sqlite3.Error):
                storage.abort()
            self._writer.metapath.unlink(missing_ok=True)  # perhaps half of one
            raise OutputError(
                f"bag {self._path}",
                expected="a disk that takes the recording",
                got=str(error),
                remedy="make room; what was recorded up to there can be read, and "
                "'ros2 bag reindex' completes it for ROS",
            ) from error
        finally:
            stop.set()
            thread.join()
        return sorted(self._topics.values(), key=lambda topic: topic.name)

    def _write_until_end(self, database: sqlite3.Connection) -> None:
        commit_s, commit_bytes = 0.0, 0
        while True:
            if time.monotonic() >= commit_s or self._written_bytes >= commit_bytes:
                database.commit()
                commit_s = time.monotonic() + COMMIT_PERIOD_S
                commit_bytes = self._written_bytes + COMMIT_BYTES
            with contextlib.suppress(queue.Empty):
                item = self._queue.get(timeout=COMMIT_PERIOD_S)
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                self._write(*item)

    def _write(self, topic: RecordedTopic, stamp_ns: int, data: bytes | None) -> None:
        if data is None:
            topic.connection = self._writer.add_connection(
                topic.name,
                topic.type_name,
                msgdef=message_definition(topic.type_name),
                rihs01=str(getattr(topic.infos[0], "topic_type_hash", "INVALID")),
                offered_qos_profiles=[recorded_qos(info.qos_profile) for info in topic.infos],
            )
            return
        self._writer.write(topic.connection, stamp_ns, data)
        topic.written += 1
        self._written_bytes += len(data)

    def _receive(self, stop: threading.Event) -> None:
        """Takes messages until `stop`, and then those that had arrived."""
        try:
            with tool_node("rosbag2_recorder") as (node, executor):
                look_s = 0.0
                while not stop.is_set():
                    if time.monotonic() >= look_s:
                        self._subscribe_to_new(node)
                        look_s = time.monotonic() + DISCOVERY_PERIOD_S
                    executor.spin_once(timeout_sec=DISCOVERY_PERIOD_S)
                self._take_the_rest(executor)
        except BaseException as error:
            self._queue.put(error)
        self._queue.put(None)

    def _take_the_rest(self, executor: SingleThreadedExecutor) -> None:
        before = -1
        while before != self._taken:
            before = self._taken
            executor.spin_once(timeout_sec=0.0)

    def _subscribe_to_new(self, node: Node) -> None:
        wanted = {node.resolve_topic_name(name) for name in self._wanted}
        for name, types in node.get_topic_names_and_types():
            if name not in wanted if wanted else "/_" in name:
                continue
            for type_name in types:
                if (name, type_name) in self._topics:
                    continue
                infos = node.get_publishers_info_by_topic(name)
                infos = [info for info in infos if info.topic_type == type_name]
                if infos:
                    topic = RecordedTopic(name, type_name, infos)
                    self._topics[name, type_name] = topic
                    self._subscribe(node, topic)

    def _subscribe(self, node: Node, topic: RecordedTopic) -> None:
        try:
            kind = message_class(topic.type_name)
        except MissingDependencyError as error:
            self._report(f"Left out {topic.name}: {error}")
            return
        self._queue.put((topic, 0, None))

        def take(data: bytes) -> None:
            self._taken += 1
            if self._taken_bytes - self._written_bytes > MAX_QUEUED_BYTES:
                topic.lost += 1
                return
            self._taken_bytes += len(data)
            self._queue.put((topic, time.time_ns(), data))

        def count_lost(event: Any) -> None:
            topic.lost += event.total_count_change

        node.create_subscription(
            kind,
            topic.name,
            take,
            subscription_qos([info.qos_profile for info in topic.infos]),
            event_callbacks=SubscriptionEventCallbacks(message_lost=count_lost),
            raw=True,
        )
        self._report(f"Subscribed to {topic.name}")
