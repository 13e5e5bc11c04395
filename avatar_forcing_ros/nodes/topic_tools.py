"""Looks at topics whose types nobody named: who is there, what is published, and how often."""

from __future__ import annotations

import array
import re
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np
import yaml
from rclpy.serialization import deserialize_message

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.graph_tools import message_class, tool_node
from avatar_forcing_ros.nodes.matching_qos import subscription_qos

NODE_NAME = "avatar_forcing_topic"
POLL_S = 0.05
REPORT_PERIOD_S = 1.0
SHOWN_VALUES = 8  # of an array


def list_topics(
    discovery_s: float, stop: threading.Event, *, types: bool, hidden: bool
) -> list[str]:
    """Names of topics, with their types where asked; hidden ones have a part that begins with _"""
    with tool_node(NODE_NAME) as (node, _):
        stop.wait(discovery_s)
        found = node.get_topic_names_and_types()
    shown = [(name, kinds) for name, kinds in found if hidden or "/_" not in name]
    return [f"{name} [{', '.join(kinds)}]" if types else name for name, kinds in shown]


def describe_topic(topic: str, discovery_s: float, stop: threading.Event, *, verbose: bool) -> str:
    """Types and ends of a topic; raises ConfigError for one that is not there."""
    with tool_node(NODE_NAME) as (node, _):
        stop.wait(discovery_s)
        name = node.resolve_topic_name(topic)
        types = dict(node.get_topic_names_and_types()).get(name)
        ends = {
            "Publisher": node.get_publishers_info_by_topic(name),
            "Subscription": node.get_subscriptions_info_by_topic(name),
        }
    if types is None:
        raise _not_found(name, "one that somebody publishes or subscribes to", "none")
    lines = [f"Type: {', '.join(types)}"]
    for kind, infos in ends.items():
        lines.append(f"{kind} count: {len(infos)}")
        lines += [f"\n{info}\n" for info in infos] if verbose else []
    return "\n".join(lines)


def received(
    topic: str, stop: threading.Event, timeout_s: float | None, report: Callable[[str], None]
) -> Generator[tuple[str, bytes | None], None, None]:
    """(type, message as bytes) of what is published, until `stop`; None now and then in silence.

    Raises ConfigError where the first message does not come within `timeout_s` (None: ever), and
    MissingDependencyError for messages that are not known here.
    """
    end_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    with tool_node(NODE_NAME) as (node, executor):
        name = node.resolve_topic_name(topic)
        waiting = False
        while not (infos := node.get_publishers_info_by_topic(name)):
            if time.monotonic() > end_s:
                raise _not_found(name, "somebody who publishes it", "nobody in time")
            if timeout_s is None and not waiting:
                report(f"Waiting for somebody to publish {name}")
                waiting = True
            if stop.wait(POLL_S):
                return
        type_name = infos[0].topic_type
        arrived: deque[bytes] = deque()

        def take(data: bytes) -> None:
            arrived.append(data)

        qos = subscription_qos([info.qos_profile for info in infos])
        node.create_subscription(message_class(type_name), name, take, qos, raw=True)
        while not stop.is_set():
            executor.spin_once(timeout_sec=POLL_S)
            if arrived:
                end_s = float("inf")
                yield type_name, arrived.popleft()
            elif time.monotonic() > end_s:
                raise _not_found(name, "a message", "none in time")
            else:
                yield type_name, None


def echo(
    messages: Iterator[tuple[str, bytes | None]],
    report: Callable[[str], None],
    *,
    field: str = "",
    count: int | None = None,
    shown_values: int | None = SHOWN_VALUES,
) -> None:
    """Shows messages, or one field of them, until `count` or the end."""
    shown = 0
    for type_name, data in messages:
        if data is None:
            continue
        message = deserialize_message(data, message_class(type_name))
        report(as_text(picked(message, field) if field else message, shown_values) + "\n---")
        shown += 1
        if shown == count:
            return


def show_rate(
    messages: Iterator[tuple[str, bytes | None]], window: int, report: Callable[[str], None]
) -> None:
    """Says every second how often the topic is published, until the end."""
    arrivals_s: deque[float] = deque(maxlen=window + 1)
    report_s = time.monotonic() + REPORT_PERIOD_S
    is_new = False
    for _, data in messages:
        now_s = time.monotonic()
        if data is not None:
            arrivals_s.append(now_s)
            is_new = True
        if now_s >= report_s:
            report(rate_text(arrivals_s) if is_new else "no new messages")
            report_s, is_new = now_s + REPORT_PERIOD_S, False


def rate_text(arrivals_s: Sequence[float]) -> str:
    """Rate in Hz between arrivals, and how the intervals spread."""
    intervals_s = [b - a for a, b in zip(arrivals_s, list(arrivals_s)[1:], strict=False)]
    if not intervals_s:
        return "one message"
    return (
        f"average rate: {1 / max(1e-9, statistics.fmean(intervals_s)):.3f}\n"
        f"\tmin: {min(intervals_s):.3f}s max: {max(intervals_s):.3f}s"
        f" std dev: {statistics.pstdev(intervals_s):.5f}s window: {len(intervals_s)}"
    )


def picked(message: Any, path: str) -> Any:
    """The part of a message that a path such as ``audio.info.rate`` or ``names[2]`` means.

    Raises ConfigError for a path that leads nowhere.
    """
    value = message
    for step in re.split(r"\.|(?=\[)", path):
        try:
            value = value[int(step[1:-1])] if step[:1] == "[" else getattr(value, step)
        except (AttributeError, IndexError, TypeError, ValueError):
            raise ConfigError(
                f"--field {path}",
                expected=", ".join(_fields(value)) or "an element that is there",
                got=step,
                remedy="choose one of these; separate levels by dots",
            ) from None
    return value


def as_text(value: Any, shown_values: int | None = SHOWN_VALUES) -> str:
    """A message, or a part of one, as YAML; None shows arrays in full."""
    text = yaml.safe_dump(
        _plain(value, shown_values),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=2**31,
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _is_message(value: Any) -> bool:
    return hasattr(value, "get_fields_and_field_types")


def _fields(value: Any) -> dict[str, str]:
    return value.get_fields_and_field_types() if _is_message(value) else {}


def _plain(value: Any, shown: int | None) -> Any:
    if _is_message(value):
        return {name: _plain(getattr(value, name), shown) for name in _fields(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple, bytes, array.array, np.ndarray)):
        first = [_plain(item, shown) for item in value[:shown]]
        more = len(value) - len(first)
        return [*first, f"({more} more)"] if more else first
    return value


def _not_found(topic: str, expected: str, got: str) -> ConfigError:
    return ConfigError(
        f"topic {topic}",
        expected=expected,
        got=got,
        remedy="'avatar-forcing topic list' shows what there is",
    )
