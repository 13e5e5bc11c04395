"""Tools for a graph of unknown types: a node, message classes by name, topics, echo and rates."""

from __future__ import annotations

import array
import importlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from avatar_forcing_ros.errors import ConfigError, MissingDependencyError
from avatar_forcing_ros.nodes.middleware import prepare_middleware

NODE_NAME = "avatar_forcing_topic"
QUEUE_DEPTH = 1000  # so many messages may wait for a slow subscription before the oldest is lost
POLL_S = 0.05
REPORT_PERIOD_S = 1.0
SHOWN_VALUES = 8  # of an array
RATE_WINDOW = 1000  # messages
Received = tuple[str, Any]  # type, and the message as bytes, or None in silence
# a field of another message: [package/]Name, perhaps an array, then the field's name
_NESTED = re.compile(r"^(?:(\w+)/)?([A-Z]\w*)(?:\[[^\]]*\])?\s+\w", re.MULTILINE)


@contextmanager
def tool_node(name: str) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    """A node without parameters and logs, and its executor; signals stay the caller's."""
    prepare_middleware()
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = Node(name, context=context, enable_rosout=False, start_parameter_services=False)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        yield node, executor
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def subscription_qos(offers: Sequence[QoSProfile]) -> QoSProfile:
    """What a subscription asks for, so that it matches every one of the `offers`."""
    qos = QoSProfile(depth=QUEUE_DEPTH)  # reliable and volatile
    if any(offer.reliability == QoSReliabilityPolicy.BEST_EFFORT for offer in offers):
        qos.reliability = QoSReliabilityPolicy.BEST_EFFORT
    if all(offer.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL for offer in offers):
        qos.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return qos


def message_class(type_name: str, digest: str = "") -> Any:
    """The class of ``package/msg/Name``, with that hash of its definition if one is given.

    Raises MissingDependencyError where there is none: two packages may share a name.
    """
    package, _, name = type_name.split("/")
    try:
        kind = getattr(importlib.import_module(f"{package}.msg"), name)
        if digest.startswith("RIHS01_") and message_hash(type_name) not in ("", digest):
            raise AttributeError(f"another definition of {name}")
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(
            f"message {type_name}",
            expected=f"the ROS package '{package}' that has it",
            got=str(error),
            remedy="install it, or source the workspace in which it is built",
        ) from error
    return kind


def message_definition(type_name: str) -> str:
    """The text of a message and of all that it contains, as bags hold it; empty if not here."""
    texts: dict[str, str] = {}
    wanted = [type_name]
    for name in wanted:
        path = _shared(name, "msg")
        if path is None:
            return ""
        texts[name] = path.read_text(encoding="utf-8")
        for package, kind in _NESTED.findall(texts[name]):
            nested = f"{package or name.partition('/')[0]}/msg/{kind}"
            wanted += [nested] if nested not in wanted else []
    whole = texts.pop(type_name)
    for name, text in texts.items():
        whole += f"\n{'=' * 80}\nMSG: {name.replace('/msg/', '/')}\n{text}"
    return whole


def message_hash(type_name: str) -> str:
    """ROS's hash of the definition; empty where it is not here or ROS is too old to have one."""
    path = _shared(type_name, "json")
    hashes = json.loads(path.read_text(encoding="utf-8"))["type_hashes"] if path else []
    return next((h["hash_string"] for h in hashes if h["type_name"] == type_name), "")


def _shared(type_name: str, kind: str) -> Path | None:
    """A message's file in the `share` folder that belongs to the imported package."""
    package, _, name = type_name.split("/")
    module = Path(importlib.import_module(f"{package}.msg").__file__ or "")
    paths = (folder / "share" / package / "msg" / f"{name}.{kind}" for folder in module.parents)
    return next((path for path in paths if path.is_file()), None)


def list_topics(discovery_s: float, stop: threading.Event) -> list[tuple[str, list[str]]]:
    """(name, types) of all topics that are not hidden, after listening for so long."""
    with tool_node(NODE_NAME) as (node, _):
        stop.wait(discovery_s)
        found = node.get_topic_names_and_types()
    return [(name, types) for name, types in found if "/_" not in name]


def received(
    topic: str, stop: threading.Event, timeout_s: float | None
) -> Generator[Received, None, None]:
    """What is published, until `stop`.

    Raises ConfigError where the first message does not come within `timeout_s` (None: ever), and
    MissingDependencyError for messages that are not known here.
    """
    end_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    with tool_node(NODE_NAME) as (node, executor):
        name = node.resolve_topic_name(topic)
        while not (infos := node.get_publishers_info_by_topic(name)):
            if time.monotonic() > end_s:
                raise _not_found(name, "somebody who publishes it", "nobody in time")
            if stop.wait(POLL_S):
                return
        arrived: deque[bytes] = deque()

        def take(data: bytes) -> None:
            arrived.append(data)

        qos = subscription_qos([info.qos_profile for info in infos])
        type_name = infos[0].topic_type
        node.create_subscription(message_class(type_name), name, take, qos, raw=True)
        while not stop.is_set():
            executor.spin_once(timeout_sec=POLL_S)
            if arrived:
                end_s = float("inf")
            elif time.monotonic() > end_s:
                raise _not_found(name, "a message", "none in time")
            yield type_name, arrived.popleft() if arrived else None


def echo(
    messages: Iterable[Received], count: int | None, shown: int | None
) -> Generator[str, None, None]:
    """Messages as text with `shown` values of an array; `count` of them, or all."""
    for type_name, data in messages:
        if data is None:
            continue
        yield as_text(deserialize_message(data, message_class(type_name)), shown) + "\n---"
        count = None if count is None else count - 1
        if count == 0:
            return


def rates(messages: Iterable[Received]) -> Generator[str, None, None]:
    """Every second, how often the topic was published."""
    arrivals_s: deque[float] = deque(maxlen=RATE_WINDOW + 1)
    report_s, is_new = time.monotonic() + REPORT_PERIOD_S, False
    for _, data in messages:
        now_s = time.monotonic()
        if data is not None:
            arrivals_s.append(now_s)
            is_new = True
        if now_s >= report_s:
            yield rate_text(arrivals_s) if is_new else "no new messages"
            report_s, is_new = now_s + REPORT_PERIOD_S, False


def rate_text(arrivals_s: Sequence[float]) -> str:
    """Rate in Hz between arrivals, and how the intervals spread."""
    intervals_s = np.diff(np.array(arrivals_s))
    if not len(intervals_s):
        return "one message"
    return (
        f"average rate: {1 / max(1e-9, intervals_s.mean()):.3f}\n"
        f"\tmin: {intervals_s.min():.3f}s max: {intervals_s.max():.3f}s"
        f" std dev: {intervals_s.std():.5f}s window: {len(intervals_s)}"
    )


def as_text(value: Any, shown: int | None = SHOWN_VALUES) -> str:
    """A message, or a part of one, as YAML; None shows arrays in full."""
    text = yaml.safe_dump(_plain(value, shown), sort_keys=False, allow_unicode=True,
                          default_flow_style=None, width=2**31)  # fmt: skip
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: Any, shown: int | None) -> Any:
    if hasattr(value, "get_fields_and_field_types"):
        fields = value.get_fields_and_field_types()
        return {name: _plain(getattr(value, name), shown) for name in fields}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple, bytes, array.array, np.ndarray)):
        first = [_plain(item, shown) for item in value[:shown]]
        more = len(value) - len(first)
        return [*first, f"({more} more)"] if more else first
    return value


def _not_found(topic: str, expected: str, got: str) -> ConfigError:
    remedy = "'avatar-forcing topic list' shows what there is"
    return ConfigError(f"topic {topic}", expected=expected, got=got, remedy=remedy)
