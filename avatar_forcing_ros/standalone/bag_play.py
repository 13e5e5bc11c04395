"""Plays a rosbag2 bag onto the graph, at the pace at which it was recorded."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import names, wire
from avatar_forcing_ros.standalone.bag_files import open_bag
from avatar_forcing_ros.standalone.bag_qos import offering_again
from avatar_forcing_ros.standalone.bag_types import hash_user_data, recorded_hash
from avatar_forcing_ros.standalone.context import Context
from avatar_forcing_ros.standalone.messages import message_class, serialize_message, type_hash
from avatar_forcing_ros.standalone.qos import QoSProfile, ReliabilityPolicy, to_dds
from avatar_forcing_ros.standalone.time import Time

_NODE = "rosbag2_player"
_POLL_S = 0.02
# a writer knows of a reader slightly before that reader knows of the writer, and what a best
# effort writer says in between is lost
_SETTLE_S = 0.2
_READ_AHEAD = 64
_FAREWELL_S = 5.0


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


def parse_remaps(rules: Sequence[str]) -> dict[str, str]:
    """``a:=b`` → {absolute a: absolute b}; raises ConfigError for anything else."""
    found = {}
    for rule in rules:
        source, separator, target = rule.partition(":=")
        if not (source and separator and target):
            raise ConfigError(
                "--remap", expected="/from:=/to", got=rule, remedy="write it like this"
            )
        found[names.expand(source, _NODE, "/")] = names.expand(target, _NODE, "/")
    return found


class SimulatedTime:
    """The bag's time, which runs `rate` times as fast as ours once it is started."""

    def __init__(self, begin_ns: int, rate: float) -> None:
        self._begin_ns = begin_ns
        self._rate = rate
        self._started_ns: int | None = None

    def start(self) -> None:
        """Time runs from here on."""
        self._started_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """The bag's time now; its beginning until started."""
        if self._started_ns is None:
            return self._begin_ns
        return self._begin_ns + int((time.monotonic_ns() - self._started_ns) * self._rate)

    def left_s(self, stamp_ns: int) -> float:
        """How long until the bag's time is `stamp_ns`."""
        return (stamp_ns - self.now_ns()) / 1e9 / self._rate


class Player:
    """Publishes what a bag holds. Raises MediaError and ConfigError."""

    def __init__(
        self, path: Path, options: PlayOptions, say: Callable[[str], None] = print
    ) -> None:
        self._path = path
        self._options = options
        self._say = say
        self._writers: dict[tuple[str, str], wire.Writer] = {}

    def run(self, stop: threading.Event) -> int:
        """Plays to the end or until `stop` is set; returns how many messages were sent."""
        context = Context()
        context.init([])
        sent = 0
        try:
            with open_bag(self._path) as bag:
                connections = self._chosen(bag.connections)
                node = context.graph.add_node(_NODE, "/")
                for connection in connections:
                    self._offer(context, node, connection)
                begin_ns = int(self._options.start_offset_s * 1e9)
                begin_ns += bag.start_time if bag.message_count else 0
                clock = _clock_writer(context, node) if self._options.clock_hz else None
                waited = False
                while not stop.is_set():
                    simulated = SimulatedTime(begin_ns, self._options.rate)
                    with self._clock(clock, simulated):
                        if not waited:
                            self._wait_for_subscribers(stop)
                            waited = True
                        stop.wait(self._options.delay_s)
                        simulated.start()
                        sent += self._play_once(bag, connections, simulated, begin_ns, stop)
                    if not self._options.loop:
                        break
            if not stop.is_set():
                self._wait_until_heard()
        finally:
            context.try_shutdown()
        return sent

    def _chosen(self, connections: Sequence[Any]) -> list[Any]:
        """What is to be played; raises ConfigError where the bag has none of what is wanted."""
        wanted = {names.expand(topic, _NODE, "/") for topic in self._options.topics}
        there = {connection.topic for connection in connections}
        if wanted and not wanted & there:
            raise ConfigError(
                "topics to play",
                expected=f"some of {', '.join(sorted(there))}",
                got=", ".join(sorted(wanted)),
                remedy="'avatar-forcing bag info' lists them",
            )
        # two clocks at once would make time jump to and fro
        banned = {"/clock"} if self._options.clock_hz else set()
        return [c for c in connections if c.topic in (wanted or there) - banned]

    def _offer(self, context: Context, node: Any, connection: Any) -> None:
        topic = self._options.remaps.get(connection.topic, connection.topic)
        key = (connection.topic, connection.msgtype)
        if key in self._writers:
            return
        profile = offering_again(connection.ext.offered_qos_profiles)
        writer = context.participant.writer(
            f"{wire.TOPIC}{topic}",
            wire.dds_type_name(connection.msgtype),
            to_dds(profile, hash_user_data(recorded_hash(connection)), writer=True),
        )
        context.graph.add_endpoint(node, writer)
        self._writers[key] = writer

    def _wait_for_subscribers(self, stop: threading.Event) -> None:
        """Until all topics are heard, or the time is over: nobody need listen to all of them."""
        end_s = time.monotonic() + self._options.wait_for_subscribers_s
        unheard = dict(self._writers)
        while unheard and not stop.is_set() and time.monotonic() < end_s:
            unheard = {key: w for key, w in unheard.items() if not w.partners()}
            stop.wait(_POLL_S)
        if self._options.wait_for_subscribers_s > 0:
            stop.wait(_SETTLE_S)
        for topic, _ in unheard:
            self._say(f"Nobody listens to {self._options.remaps.get(topic, topic)} yet")

    def _play_once(
        self,
        bag: Any,
        connections: Sequence[Any],
        simulated: SimulatedTime,
        begin_ns: int,
        stop: threading.Event,
    ) -> int:
        sent = 0
        with _read_ahead(bag.messages(connections, start=begin_ns)) as messages:
            for connection, stamp_ns, data in messages:
                while (left_s := simulated.left_s(stamp_ns)) > 0 and not stop.wait(left_s):
                    pass
                if stop.is_set():
                    break
                self._writers[connection.topic, connection.msgtype].write(data)
                sent += 1
        return sent

    def _wait_until_heard(self) -> None:
        """What was sent last is on its way until it is acknowledged."""
        end_ns = time.monotonic_ns() + int(_FAREWELL_S * 1e9)
        for writer in self._writers.values():
            writer.wait_acknowledged(max(1, end_ns - time.monotonic_ns()))

    @contextmanager
    def _clock(self, writer: wire.Writer | None, simulated: SimulatedTime) -> Iterator[None]:
        """Publishes `/clock` meanwhile; it stands still until the bag begins."""
        ended = threading.Event()
        period_s = 1.0 / self._options.clock_hz if self._options.clock_hz else 0.0

        def tick() -> None:
            assert writer is not None
            while True:
                writer.write(_clock_message(simulated.now_ns()))
                if ended.wait(period_s):
                    return

        if writer is None:
            yield
            return
        thread = threading.Thread(target=tick, name="clock")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _clock_writer(context: Context, node: Any) -> wire.Writer:
    cls = message_class("rosgraph_msgs/msg/Clock")
    profile = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    writer = context.participant.writer(
        f"{wire.TOPIC}/clock",
        wire.dds_type_name("rosgraph_msgs/msg/Clock"),
        to_dds(profile, hash_user_data(type_hash(cls)), writer=True),
    )
    context.graph.add_endpoint(node, writer)
    return writer


def _clock_message(now_ns: int) -> bytes:
    cls = message_class("rosgraph_msgs/msg/Clock")
    return serialize_message(cls(clock=Time(nanoseconds=now_ns).to_msg()))


@contextmanager
def _read_ahead(messages: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """The same messages, read by another thread: unpacking must not delay what is due.

    What goes wrong in reading is raised where the messages are used.
    """
    ready: queue.Queue[Any] = queue.Queue(_READ_AHEAD)
    ended = threading.Event()

    def put(item: Any) -> bool:
        while not ended.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for message in messages:
                if not put(message):
                    return
            put(None)
        except Exception as error:
            put(error)

    def take() -> Iterator[Any]:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    thread = threading.Thread(target=read, name="read ahead")
    thread.start()
    try:
        yield take()
    finally:
        ended.set()
        thread.join()
