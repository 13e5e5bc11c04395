"""Who is there: the nodes of all participants, and the endpoints that DDS tells about."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from cyclonedds.builtin import (
    BuiltinDataReader,
    BuiltinTopicDcpsParticipant,
    BuiltinTopicDcpsPublication,
    BuiltinTopicDcpsSubscription,
)
from cyclonedds.core import InstanceState
from cyclonedds.qos import Policy
from rosbags.serde import SerdeError

from avatar_forcing_ros.standalone import wire
from avatar_forcing_ros.standalone.messages import (
    deserialize_message,
    message_class,
    serialize_message,
    type_hash,
)
from avatar_forcing_ros.standalone.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    from_dds,
    to_dds,
)

_INFO = "rmw_dds_common/msg/ParticipantEntitiesInfo"
_MAX_SAMPLES = 10_000
_GID = slice(4, 20)  # where the sample names its participant
# past this many, participants that have left are forgotten without being asked
_MANY = 64
NamesAndTypes = list[tuple[str, list[str]]]


class TopicEndpointTypeEnum(IntEnum):
    """Which side of a topic an endpoint is on."""

    INVALID = 0
    PUBLISHER = 1
    SUBSCRIPTION = 2


@dataclass
class TopicEndpointInfo:
    """One publisher or subscription of a topic, as ``ros2 topic info -v`` shows it."""

    node_name: str
    node_namespace: str
    topic_type: str
    topic_type_hash: str
    endpoint_type: TopicEndpointTypeEnum
    endpoint_gid: list[int]
    qos_profile: QoSProfile


@dataclass
class _Node:
    name: str
    namespace: str
    readers: list[bytes] = field(default_factory=list)
    writers: list[bytes] = field(default_factory=list)

    @classmethod
    def heard(cls, info: Any) -> _Node:
        return cls(
            info.node_name,
            info.node_namespace,
            [bytes(gid.data)[:16] for gid in info.reader_gid_seq],
            [bytes(gid.data)[:16] for gid in info.writer_gid_seq],
        )


class Graph:
    """Announces the nodes of one participant and knows those of all others."""

    def __init__(self, participant: wire.Participant) -> None:
        self._participant = participant
        self._lock = threading.Lock()
        self._builtin_lock = threading.Lock()
        self._own: list[_Node] = []
        self._heard: dict[bytes, bytes] = {}
        self._cls = message_class(_INFO)
        self._gid_size = len(message_class("rmw_dds_common/msg/Gid")().data)
        data = f"typehash={type_hash(self._cls)};".encode()
        late = DurabilityPolicy.TRANSIENT_LOCAL
        all_of_it = QoSProfile(history=HistoryPolicy.KEEP_ALL, durability=late)
        name = wire.dds_type_name(_INFO)
        self._reader = participant.reader(
            "ros_discovery_info", name, to_dds(all_of_it, data, writer=False)
        )
        self._writer = participant.writer(
            "ros_discovery_info",
            name,
            to_dds(QoSProfile(depth=1, durability=late), data, writer=True),
        )
        self._builtin = {
            topic: BuiltinDataReader(participant.dds, topic)
            for topic in (
                BuiltinTopicDcpsParticipant,
                BuiltinTopicDcpsPublication,
                BuiltinTopicDcpsSubscription,
            )
        }

    def _gid(self, gid: bytes) -> Any:
        padded = list(gid.ljust(self._gid_size, b"\0"))
        return message_class("rmw_dds_common/msg/Gid")(data=padded)

    def _announce(self) -> None:
        node_info = message_class("rmw_dds_common/msg/NodeEntitiesInfo")
        nodes = [
            node_info(
                node_namespace=node.namespace,
                node_name=node.name,
                reader_gid_seq=[self._gid(gid) for gid in node.readers],
                writer_gid_seq=[self._gid(gid) for gid in node.writers],
            )
            for node in self._own
        ]
        info = self._cls(gid=self._gid(self._participant.gid), node_entities_info_seq=nodes)
        self._writer.write(serialize_message(info))

    def add_node(self, name: str, namespace: str) -> Any:
        """Announces a node; the result names it in the calls below."""
        node = _Node(name, namespace)
        with self._lock:
            self._own.append(node)
            self._announce()
        return node

    def remove_node(self, node: Any) -> None:
        """Announces that the node has left."""
        with self._lock:
            if node in self._own:
                self._own.remove(node)
                self._announce()

    def add_endpoint(self, node: Any, endpoint: wire.Endpoint) -> None:
        """Announces a reader or writer of the node."""
        with self._lock:
            self._side(node, endpoint).append(endpoint.gid)
            self._announce()

    def remove_endpoint(self, node: Any, endpoint: wire.Endpoint) -> None:
        """Announces that the endpoint has left."""
        with self._lock:
            side = self._side(node, endpoint)
            if endpoint.gid in side:
                side.remove(endpoint.gid)
                self._announce()

    @staticmethod
    def _side(node: _Node, endpoint: wire.Endpoint) -> list[bytes]:
        return node.writers if isinstance(endpoint, wire.Writer) else node.readers

    def _read(self, topic: Any) -> list[Any]:
        # two reads of one reader at a time disturb each other in cyclonedds' C layer
        with self._builtin_lock:
            samples = self._builtin[topic].read(N=_MAX_SAMPLES)
        return [s for s in samples if s.sample_info.instance_state == InstanceState.Alive]

    @property
    def condition(self) -> Any:
        """Triggered while there is news of other participants."""
        return self._reader.condition

    def listen(self) -> None:
        """Takes in the news; what nobody asks for stays undecoded."""
        with self._lock:
            while (taken := self._reader.take()) is not None:
                self._heard[taken[0][_GID]] = taken[0]
            if len(self._heard) > _MANY:
                self._forget_the_gone()

    def _forget_the_gone(self) -> None:
        living = {bytes(p.key.bytes) for p in self._read(BuiltinTopicDcpsParticipant)}
        self._heard = {gid: data for gid, data in self._heard.items() if gid in living}

    def _nodes(self) -> list[_Node]:
        """All nodes of living participants, ours included."""
        self.listen()
        with self._lock:
            self._forget_the_gone()
            nodes = list(self._own)
            for gid, data in self._heard.items():
                if gid == self._participant.gid:
                    continue
                # a participant of another release may describe itself in another layout
                with contextlib.suppress(SerdeError):
                    info = deserialize_message(data, self._cls)
                    nodes += [_Node.heard(node) for node in info.node_entities_info_seq]
            return nodes

    def node_names(self) -> list[tuple[str, str]]:
        """(name, namespace) of every node."""
        return [(node.name, node.namespace) for node in self._nodes()]

    def _endpoints(self, kind: TopicEndpointTypeEnum | None = None) -> Iterator[Any]:
        if kind != TopicEndpointTypeEnum.SUBSCRIPTION:
            yield from self._read(BuiltinTopicDcpsPublication)
        if kind != TopicEndpointTypeEnum.PUBLISHER:
            yield from self._read(BuiltinTopicDcpsSubscription)

    def names_and_types(
        self,
        *,
        services: bool = False,
        kind: TopicEndpointTypeEnum | None = None,
        gids: set[bytes] | None = None,
        half: str = "",
        demangle: bool = True,
    ) -> NamesAndTypes:
        """Topics, or services, with their types, sorted.

        ``gids`` picks endpoints, ``half`` the requests or the responses of services.
        """
        found: dict[str, set[str]] = {}
        for endpoint in self._endpoints(kind):
            if gids is not None and bytes(endpoint.key.bytes) not in gids:
                continue
            if not endpoint.type_name.endswith(f"{half}_" * bool(half)):
                continue
            named: tuple[str, str] | None = (endpoint.topic_name, endpoint.type_name)
            if demangle:
                named = _demangled(endpoint, services)
            if named is not None:
                found.setdefault(named[0], set()).add(named[1])
        return [(name, sorted(types)) for name, types in sorted(found.items())]

    def node_gids(self, name: str, namespace: str) -> tuple[set[bytes], set[bytes]] | None:
        """GIDs of a node's (readers, writers), or None where there is no such node."""
        for node in self._nodes():
            if (node.name, node.namespace) == (name, namespace):
                return set(node.readers), set(node.writers)
        return None

    def infos(self, topic: str, kind: TopicEndpointTypeEnum) -> list[TopicEndpointInfo]:
        """Everything known about the publishers or subscriptions of a topic."""
        owners = {gid: node for node in self._nodes() for gid in node.readers + node.writers}
        found = []
        unknown = _Node("_NODE_NAME_UNKNOWN_", "_NODE_NAMESPACE_UNKNOWN_")
        for endpoint in self._endpoints(kind):
            named = _demangled(endpoint, services=False)
            if named is None or named[0] != topic:
                continue
            gid = bytes(endpoint.key.bytes)
            owner = owners.get(gid, unknown)
            found.append(
                TopicEndpointInfo(
                    owner.name,
                    owner.namespace,
                    named[1],
                    _hash_in(endpoint),
                    kind,
                    list(gid.ljust(self._gid_size, b"\0")),
                    from_dds(endpoint.qos),
                )
            )
        return found


def _hash_in(endpoint: Any) -> str:
    data = endpoint.qos[Policy.Userdata].data if Policy.Userdata in endpoint.qos else b""
    for entry in bytes(data).decode("ascii", "replace").split(";"):
        key, _, value = entry.partition("=")
        if key == "typehash":
            return value
    return "INVALID"


def _demangled(endpoint: Any, services: bool) -> tuple[str, str] | None:
    """(ROS name, ROS type) of an endpoint, or None where it is not a topic (a service)."""
    prefix, _, name = endpoint.topic_name.partition("/")
    ros_type = wire.ros_type_name(endpoint.type_name)
    if ros_type is None:
        return None
    if not services:
        return (f"/{name}", ros_type) if prefix == wire.TOPIC else None
    for mark, end, half in (
        (wire.REQUEST, "Request", "_Request"),
        (wire.REPLY, "Reply", "_Response"),
    ):
        if prefix == mark and name.endswith(end) and ros_type.endswith(half):
            return f"/{name[: -len(end)]}", ros_type[: -len(half)]
    return None
