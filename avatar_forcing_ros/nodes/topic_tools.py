"""Looks at topics whose types nobody named: who is there, what is published, and how often."""

from __future__ import annotations

import array
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np
import yaml
from rclpy.serialization import deserialize_message

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.bag_qos import subscription_qos
from avatar_forcing_ros.nodes.graph_tools import message_class, tool_node

NODE_NAME = "avatar_forcing_topic"
POLL_S = 0.05
REPORT_PERIOD_S = 1.0
SHOWN_VALUES = 8  # of an array
WINDOW = 1000  # messages whose rate is told
Received = tuple[str, Any]  # type, and the message as bytes, or None in silence


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
    arrivals_s: deque[float] = deque(maxlen=WINDOW + 1)
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
