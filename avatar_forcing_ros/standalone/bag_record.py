"""Records topics to a rosbag2 bag, as bytes that are never decoded."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rosbags.rosbag2 import StoragePlugin, Writer

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.standalone import names, wire
from avatar_forcing_ros.standalone.bag_qos import hearing_all, to_bag
from avatar_forcing_ros.standalone.bag_types import definition, hash_user_data
from avatar_forcing_ros.standalone.context import Context
from avatar_forcing_ros.standalone.graph import TopicEndpointTypeEnum
from avatar_forcing_ros.standalone.qos import to_dds

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
# the newest version that says QoS as one text, which is what Humble reads; Jazzy and later do too
_BAG_VERSION: Literal[8] = 8
_NODE = "rosbag2_recorder"
_LOOK_ROUND_S = 0.1
_AT_ONCE = 100


@dataclass
class _Heard:
    topic: str
    reader: wire.Reader
    connection: Any
    messages: int = 0


class Recorder:
    """Writes what is said on topics, from the moment they appear.

    `topics` are absolute or relative names; None means all that are not hidden. Raises
    OutputError where the bag's folder is there already or cannot be made.
    """

    def __init__(
        self,
        path: Path,
        topics: Sequence[str] | None,
        storage: str = "mcap",
        say: Callable[[str], None] = print,
    ) -> None:
        self._wanted = topics and {names.expand(topic, _NODE, "/") for topic in topics}
        self._say = say
        self._heard: dict[tuple[str, str], _Heard] = {}
        self._unusable: set[tuple[str, str]] = set()
        if path.exists():
            raise OutputError(
                f"bag {path}",
                expected="a name that is free",
                got="a file or folder of that name",
                remedy="choose another with --output, or remove it",
            )
        self._writer = Writer(path, version=_BAG_VERSION, storage_plugin=STORAGES[storage])

    def run(self, stop: threading.Event) -> dict[str, int]:
        """Records until `stop` is set; returns how many messages each topic brought.

        The bag is complete whatever ends it.
        """
        context = Context()
        context.init([])
        try:
            self._writer.open()
            try:
                self._record(context, stop)
            finally:
                self._writer.close()
        finally:
            context.try_shutdown()
        return {heard.topic: heard.messages for heard in self._heard.values()}

    def _record(self, context: Context, stop: threading.Event) -> None:
        node = context.graph.add_node(_NODE, "/")
        waitlist = wire.WaitList(context.participant)
        look_s = time.monotonic()
        while not stop.is_set():
            if time.monotonic() >= look_s:
                self._subscribe(context, node)
                look_s = time.monotonic() + _LOOK_ROUND_S
            conditions = {heard.reader.condition for heard in self._heard.values()}
            waitlist.wait(conditions, int(_LOOK_ROUND_S * 1e9))
            self._write_all()
        while self._write_all():  # what had arrived when the end was told
            pass
        waitlist.close()

    def _write_all(self) -> int:
        """Writes what is there; returns how many messages that were.

        Stamps come before any writing, so that a slow disk does not shift them.
        """
        found: list[tuple[_Heard, int, bytes]] = []
        for heard in self._heard.values():
            for _ in range(_AT_ONCE):
                sample = heard.reader.take()
                if sample is None:
                    break
                found.append((heard, time.time_ns(), sample[0]))
        for heard, stamp_ns, data in found:
            self._writer.write(heard.connection, stamp_ns, data)
            heard.messages += 1
        return len(found)

    def _subscribe(self, context: Context, node: Any) -> None:
        """Subscribes to what is wanted and new."""
        publishers = TopicEndpointTypeEnum.PUBLISHER
        for topic, types in context.graph.names_and_types(kind=publishers):
            if topic not in self._wanted if self._wanted else _is_hidden(topic):
                continue
            for type_name in types:
                key = (topic, type_name)
                if key in self._heard or key in self._unusable:
                    continue
                heard = self._hear(context, topic, type_name)
                if heard is None:
                    self._unusable.add(key)
                else:
                    self._heard[key] = heard
                    context.graph.add_endpoint(node, heard.reader)

    def _hear(self, context: Context, topic: str, type_name: str) -> _Heard | None:
        infos = [
            info
            for info in context.graph.infos(topic, TopicEndpointTypeEnum.PUBLISHER)
            if info.topic_type == type_name
        ]
        told = [i.topic_type_hash for i in infos if i.topic_type_hash.startswith("RIHS01_")]
        text, type_hash = definition(type_name, told[0] if told else "")
        if not type_hash:
            self._say(f"Left out {topic}: nothing is known about {type_name}")
            return None
        if text is None:
            self._say(f"{topic}: no definition of {type_name} is known; the bag has bytes alone")
        offers = [info.qos_profile for info in infos]
        connection = self._writer.add_connection(
            topic,
            type_name,
            msgdef=text or "",
            rihs01=type_hash,
            offered_qos_profiles=[to_bag(offer) for offer in offers],
        )
        reader = context.participant.reader(
            f"{wire.TOPIC}{topic}",
            wire.dds_type_name(type_name),
            to_dds(hearing_all(offers), hash_user_data(type_hash), writer=False),
        )
        self._say(f"Subscribed to topic '{topic}'")
        return _Heard(topic, reader, connection)


def _is_hidden(topic: str) -> bool:
    """Whether a part of the name begins with an underscore: ROS's way to hide a topic."""
    return re.search(r"/_", topic) is not None
