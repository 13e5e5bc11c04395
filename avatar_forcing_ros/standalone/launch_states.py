"""Hears what lifecycle nodes say of their changes of state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from avatar_forcing_ros.standalone import wire
from avatar_forcing_ros.standalone.bag_types import hash_user_data
from avatar_forcing_ros.standalone.context import Context
from avatar_forcing_ros.standalone.messages import (
    deserialize_message,
    message_class,
    type_hash,
)
from avatar_forcing_ros.standalone.qos import QoSProfile, to_dds

_TYPE = "lifecycle_msgs/msg/TransitionEvent"
_WAIT_NS = 100_000_000


class StateWatch:
    """Subscribes to ``~/transition_event`` of nodes and hands on what it hears."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put
        self._context = Context()
        self._context.init([])
        self._readers: list[tuple[wire.Reader, Callable[[str, str], Any]]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="states", daemon=True)
        self._thread.start()

    def add(self, node: str, event: Callable[[str, str], Any]) -> None:
        """Listens to a node; ``event(start, goal)`` makes what is handed on."""
        cls = message_class(_TYPE)
        reader = self._context.participant.reader(
            f"{wire.TOPIC}{node}/transition_event",
            wire.dds_type_name(_TYPE),
            to_dds(QoSProfile(depth=10), hash_user_data(type_hash(cls)), writer=False),
        )
        self._readers.append((reader, event))

    def _listen(self) -> None:
        cls = message_class(_TYPE)
        waitlist = wire.WaitList(self._context.participant)
        while not self._ended.is_set():
            readers = list(self._readers)
            waitlist.wait({reader.condition for reader, _ in readers}, _WAIT_NS)
            for reader, event in readers:
                while (sample := reader.take()) is not None:
                    message = deserialize_message(sample[0], cls)
                    self._put(event(message.start_state.label, message.goal_state.label))
        waitlist.close()

    def close(self) -> None:
        """Leaves the graph."""
        self._ended.set()
        self._thread.join()
        self._context.try_shutdown()
