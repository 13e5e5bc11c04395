"""Which topics there are, and who is at their ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import names
from avatar_forcing_ros.standalone.context import Context
from avatar_forcing_ros.standalone.graph import Graph, TopicEndpointInfo, TopicEndpointTypeEnum
from avatar_forcing_ros.standalone.time import INFINITE_NS, Duration

_NODE = "avatar_forcing_cli"


@contextmanager
def graph_after(listen_s: float, stop: threading.Event) -> Iterator[Graph]:
    """What is known of the graph after listening for so long."""
    context = Context()
    context.init([])
    try:
        stop.wait(listen_s)
        yield context.graph
    finally:
        context.try_shutdown()


def list_topics(graph: Graph, *, types: bool = False, hidden: bool = False) -> list[str]:
    """Names of topics, with their types where asked; hidden ones have a part that begins with _"""
    lines = []
    for topic, kinds in graph.names_and_types():
        if hidden or "/_" not in topic:
            lines.append(f"{topic} [{', '.join(kinds)}]" if types else topic)
    return lines


def describe_topic(graph: Graph, name: str, *, verbose: bool = False) -> str:
    """Type and numbers of the ends of a topic, or all about them; raises ConfigError."""
    topic = names.expand(name, _NODE, "/")
    found = dict(graph.names_and_types())
    if topic not in found:
        raise ConfigError(
            f"topic {topic}",
            expected="one that somebody publishes or subscribes to",
            got="none of that name",
            remedy="'avatar-forcing topic list' shows what there is",
        )
    text = f"Type: {', '.join(found[topic])}"
    for title, kind in (
        ("Publisher", TopicEndpointTypeEnum.PUBLISHER),
        ("Subscription", TopicEndpointTypeEnum.SUBSCRIPTION),
    ):
        infos = graph.infos(topic, kind)
        text += f"\n{title} count: {len(infos)}"
        if verbose:
            text += "".join(f"\n\n{_endpoint(info)}" for info in infos) + "\n" * bool(infos)
    return text.rstrip("\n")


def _endpoint(info: TopicEndpointInfo) -> str:
    qos = info.qos_profile
    lines = [
        f"Node name: {info.node_name}",
        f"Node namespace: {info.node_namespace}",
        f"Topic type: {info.topic_type}",
        f"Topic type hash: {info.topic_type_hash}",
        f"Endpoint type: {info.endpoint_type.name}",
        f"GID: {'.'.join(f'{byte:02x}' for byte in info.endpoint_gid)}",
        "QoS profile:",
        f"  Reliability: {qos.reliability.name}",
        f"  Durability: {qos.durability.name}",
        f"  Lifespan: {_span(qos.lifespan)}",
        f"  Deadline: {_span(qos.deadline)}",
        f"  Liveliness: {qos.liveliness.name}",
        f"  Liveliness lease duration: {_span(qos.liveliness_lease_duration)}",
    ]
    return "\n".join(lines)


def _span(duration: Duration) -> str:
    if 0 < duration.nanoseconds < INFINITE_NS:
        return f"{duration.nanoseconds} nanoseconds"
    return "Infinite"
