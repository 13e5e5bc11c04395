"""Listens to one topic whose type nobody told: what is said there, and how often."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from rosbags.serde import SerdeError

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import names, wire
from avatar_forcing_ros.standalone.bag_qos import hearing_all
from avatar_forcing_ros.standalone.bag_types import hash_user_data, store_for
from avatar_forcing_ros.standalone.context import Context
from avatar_forcing_ros.standalone.graph import TopicEndpointTypeEnum
from avatar_forcing_ros.standalone.messages import deserialize_message, message_class
from avatar_forcing_ros.standalone.qos import to_dds
from avatar_forcing_ros.standalone.topic_text import SHOWN_VALUES, as_text, picked

_NODE = "avatar_forcing_cli"
_POLL_S = 0.05
_WAIT_NS = 100_000_000
_REPORT_S = 1.0


class Watch:
    """A subscription to whatever `topic` carries; use it as a context.

    Entering waits for a publisher, and raises ConfigError where none appears within `timeout_s`
    (None: however long it takes) and `stop` is not set.
    """

    def __init__(
        self,
        topic: str,
        stop: threading.Event,
        timeout_s: float | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.topic = names.expand(topic, _NODE, "/")
        self.type_name = ""
        self.type_hash = ""
        self._stop = stop
        self._say = say
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._context = Context()
        self._reader: wire.Reader | None = None

    def __enter__(self) -> Watch:
        self._context.init([])
        try:
            self._subscribe()
        except BaseException:
            self._context.try_shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._context.try_shutdown()

    def _is_late(self) -> bool:
        return self._end_s is not None and time.monotonic() > self._end_s

    def _late(self, got: str) -> ConfigError:
        return ConfigError(
            f"topic {self.topic}",
            expected="somebody who publishes there",
            got=got,
            remedy="'avatar-forcing topic list' shows what there is",
        )

    def _subscribe(self) -> None:
        graph = self._context.graph
        told = False
        while not (infos := graph.infos(self.topic, TopicEndpointTypeEnum.PUBLISHER)):
            if self._is_late():
                raise self._late("nobody in time")
            if self._stop.wait(_POLL_S):
                return
            if not told and self._end_s is None:
                self._say(f"Waiting for somebody to publish {self.topic}")
                told = True
        self.type_name, self.type_hash = infos[0].topic_type, infos[0].topic_type_hash
        self._reader = self._context.participant.reader(
            f"{wire.TOPIC}{self.topic}",
            wire.dds_type_name(self.type_name),
            to_dds(
                hearing_all([info.qos_profile for info in infos]),
                hash_user_data(self.type_hash),
                writer=False,
            ),
        )
        graph.add_endpoint(graph.add_node(_NODE, "/"), self._reader)

    def heard(self) -> Iterator[bytes | None]:
        """The messages' CDR bytes until `stop`; None now and then where nothing is said.

        Raises ConfigError where the first of them does not come in time.
        """
        if self._reader is None:
            return
        waitlist = wire.WaitList(self._context.participant)
        try:
            while not self._stop.is_set():
                sample = self._reader.take()
                if sample is None:
                    if self._is_late():
                        raise self._late("silence")
                    waitlist.wait({self._reader.condition}, _WAIT_NS)
                    yield None
                    continue
                self._end_s = None
                yield sample[0]
        finally:
            waitlist.close()

    def message_class(self) -> type[Any]:
        """The class of the topic's messages; raises ConfigError where it is not known here."""
        if store_for(self.type_name, self.type_hash) is None:
            raise ConfigError(
                f"topic {self.topic}",
                expected="messages whose definition is known without ROS",
                got=self.type_name,
                remedy="'topic hz', 'topic info' and 'bag record' do not need it",
            )
        return message_class(self.type_name)


def echo(
    watch: Watch,
    field: str = "",
    count: int | None = None,
    say: Callable[[str], None] = print,
    shown_values: int | None = SHOWN_VALUES,
) -> int:
    """Shows messages, or one field of them, until `count` or the end; returns how many."""
    said = 0
    with watch:
        for data in watch.heard():
            if data is None:
                continue
            try:
                message = deserialize_message(data, watch.message_class())
            except SerdeError as error:
                say(f"# bytes that are no {watch.type_name}: {error}")
                continue
            say(as_text(picked(message, field) if field else message, shown_values))
            say("---")
            said += 1
            if said == count:
                break
    return said


class Rhythm:
    """Intervals between the last `window` messages."""

    def __init__(self, window: int) -> None:
        self._intervals_s: deque[float] = deque(maxlen=window)
        self._last_s: float | None = None

    def add(self, now_s: float) -> None:
        """Counts a message."""
        if self._last_s is not None:
            self._intervals_s.append(now_s - self._last_s)
        self._last_s = now_s

    def text(self) -> str:
        """Rate in Hz, and how the intervals spread; empty before there are two messages."""
        if not self._intervals_s:
            return ""
        mean_s = statistics.fmean(self._intervals_s)
        return (
            f"average rate: {1 / mean_s if mean_s else float('inf'):.3f}\n"
            f"\tmin: {min(self._intervals_s):.3f}s max: {max(self._intervals_s):.3f}s"
            f" std dev: {statistics.pstdev(self._intervals_s):.5f}s"
            f" window: {len(self._intervals_s) + 1}"
        )


def show_rate(watch: Watch, window: int, say: Callable[[str], None] = print) -> None:
    """Says every second how often the topic is published, until the end."""
    rhythm = Rhythm(window)
    news = False
    report_s = time.monotonic() + _REPORT_S
    with watch:
        for data in watch.heard():
            now_s = time.monotonic()
            if data is not None:
                rhythm.add(now_s)
                news = True
            if now_s >= report_s:
                say(rhythm.text() if news and rhythm.text() else "no new messages")
                news = False
                report_s = now_s + _REPORT_S
