"""The part of a node that asks who else is there."""

from __future__ import annotations

import time
from typing import Any

from avatar_forcing_ros.standalone import names
from avatar_forcing_ros.standalone.graph import (
    Graph,
    NamesAndTypes,
    TopicEndpointInfo,
    TopicEndpointTypeEnum,
)

_PUBLISHER = TopicEndpointTypeEnum.PUBLISHER
_SUBSCRIPTION = TopicEndpointTypeEnum.SUBSCRIPTION
_POLL_S = 0.02


class NodeNameNonExistentError(RuntimeError):
    """A question about a node that is not there."""


class GraphQueries:
    """Needs ``_graph``, ``resolve_topic_name`` and ``resolve_service_name`` of the node."""

    @property
    def _graph(self) -> Graph:
        raise NotImplementedError

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """The topic's absolute name, after remapping."""
        raise NotImplementedError

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """The service's absolute name, after remapping."""
        raise NotImplementedError

    def get_topic_names_and_types(self, no_demangle: bool = False) -> NamesAndTypes:
        """All topics with their types, sorted by name."""
        return self._graph.names_and_types(demangle=not no_demangle)

    def get_service_names_and_types(self) -> NamesAndTypes:
        """All services with their types, sorted by name."""
        return self._graph.names_and_types(services=True)

    def get_node_names(self) -> list[str]:
        """Names of all nodes."""
        return [name for name, _ in self._graph.node_names()]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """(name, namespace) of all nodes."""
        return self._graph.node_names()

    def get_node_names_and_namespaces_with_enclaves(self) -> list[tuple[str, str, str]]:
        """(name, namespace, enclave) of all nodes."""
        return [(name, namespace, "/") for name, namespace in self._graph.node_names()]

    def get_fully_qualified_node_names(self) -> list[str]:
        """Absolute names of all nodes."""
        return [names.join(namespace, name) for name, namespace in self._graph.node_names()]

    def wait_for_node(self, fully_qualified_node_name: str, timeout: float) -> bool:
        """Whether the node is there within the time, in seconds."""
        end_s = time.monotonic() + timeout
        while fully_qualified_node_name not in self.get_fully_qualified_node_names():
            if time.monotonic() > end_s:
                return False
            time.sleep(_POLL_S)
        return True

    def get_publishers_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Everything known about the topic's publishers."""
        return self._infos(topic_name, no_mangle, _PUBLISHER)

    def get_subscriptions_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Everything known about the topic's subscriptions."""
        return self._infos(topic_name, no_mangle, _SUBSCRIPTION)

    def _infos(
        self, topic: str, no_mangle: bool, kind: TopicEndpointTypeEnum
    ) -> list[TopicEndpointInfo]:
        if no_mangle:
            raise NotImplementedError("topic infos with no_mangle without a ROS installation")
        return self._graph.infos(self.resolve_topic_name(topic), kind)

    def count_publishers(self, topic_name: str) -> int:
        """How many publishers the topic has."""
        return len(self._infos(topic_name, False, _PUBLISHER))

    def count_subscribers(self, topic_name: str) -> int:
        """How many subscriptions the topic has."""
        return len(self._infos(topic_name, False, _SUBSCRIPTION))

    def _of_node(self, name: str, namespace: str, side: int, **asked: Any) -> NamesAndTypes:
        gids = self._graph.node_gids(name, names.full_namespace(namespace))
        if gids is None:
            raise NodeNameNonExistentError(f"no node '{name}' in '{namespace}'")
        return self._graph.names_and_types(gids=gids[side], **asked)

    def get_publisher_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> NamesAndTypes:
        """Topics that a node publishes; raises NodeNameNonExistentError."""
        return self._of_node(node_name, node_namespace, 1, demangle=not no_demangle)

    def get_subscriber_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> NamesAndTypes:
        """Topics that a node subscribes to; raises NodeNameNonExistentError."""
        return self._of_node(node_name, node_namespace, 0, demangle=not no_demangle)

    def get_service_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> NamesAndTypes:
        """Services that a node offers; raises NodeNameNonExistentError."""
        return self._of_node(
            node_name, node_namespace, 0, services=True, kind=_SUBSCRIPTION, half="_Request"
        )

    def get_client_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> NamesAndTypes:
        """Services that a node asks; raises NodeNameNonExistentError."""
        return self._of_node(
            node_name, node_namespace, 1, services=True, kind=_PUBLISHER, half="_Request"
        )
