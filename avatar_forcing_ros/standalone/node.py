"""``rclpy.node.Node`` without ROS."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from avatar_forcing_ros.standalone import logging, names
from avatar_forcing_ros.standalone.arguments import Arguments, parse
from avatar_forcing_ros.standalone.clock import ROSClock, TimeSource
from avatar_forcing_ros.standalone.context import Context, get_default_context
from avatar_forcing_ros.standalone.entities import EntityHolder
from avatar_forcing_ros.standalone.exceptions import NotInitializedException
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.node_graph import GraphQueries
from avatar_forcing_ros.standalone.parameter import Parameter
from avatar_forcing_ros.standalone.parameter_service import ParameterService
from avatar_forcing_ros.standalone.parameters import ParameterHolder
from avatar_forcing_ros.standalone.qos import (
    qos_profile_parameter_events,
    qos_profile_rosout_default,
)
from avatar_forcing_ros.standalone.time import Time


class Node(EntityHolder, ParameterHolder, GraphQueries):
    """A node: its publishers, subscriptions, services, clients, timers and parameters.

    Raises NotInitializedException before ``rclpy.init()``, InvalidNodeNameException and
    InvalidNamespaceException.
    """

    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: list[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        start_parameter_services: bool = True,
        parameter_overrides: list[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
        enable_logger_service: bool = False,
    ) -> None:
        self._context = context or get_default_context()
        if not self._context.ok():
            raise NotInitializedException("cannot create node")
        if enable_logger_service:
            raise NotImplementedError("enable_logger_service without a ROS installation")
        self._arguments = self._merged_arguments(cli_args, use_global_arguments)
        names.validate_node_name(node_name)
        self._name, self._namespace = self._arguments.node_name(
            node_name, names.full_namespace(namespace or "/")
        )
        names.validate_node_name(self._name)
        self._executor: Callable[[], Any] = lambda: None
        self._init_entities()
        self._destroyed = False
        self._identity = self._graph.add_node(self._name, self._namespace)
        full_name = self.get_fully_qualified_name()
        self._logger = logging.get_logger(full_name.strip("/").replace("/", "."))
        overrides = self._arguments.parameters_of(full_name)
        overrides |= {p.name: p.value for p in parameter_overrides or []}
        self._init_parameters(overrides, allow_undeclared_parameters)
        if enable_rosout and self._arguments.rosout:
            self._start_rosout()
        self._clock = ROSClock()
        self._parameter_events = self.create_publisher(
            message_class("rcl_interfaces/msg/ParameterEvent"),
            "/parameter_events",
            qos_profile_parameter_events,
        )
        if automatically_declare_parameters_from_overrides:
            for name, value in overrides.items():
                self.declare_parameter(name, value, ignore_override=True)
        self._time_source = TimeSource(self, self._clock)
        if start_parameter_services:
            self._parameter_service = ParameterService(self)

    def _merged_arguments(self, cli_args: list[str] | None, use_global: bool) -> Arguments:
        """The node's own arguments go before those of the process."""
        merged = parse(cli_args or [])
        if use_global:
            everyone = self._context.arguments
            merged.remaps += everyone.remaps
            merged.parameters = everyone.parameters + merged.parameters
            merged.rosout = merged.rosout and everyone.rosout
        return merged

    def _start_rosout(self) -> None:
        log = message_class("rcl_interfaces/msg/Log")
        publisher = self.create_publisher(log, "/rosout", qos_profile_rosout_default)

        def send(stamp_ns: int, severity: int, name: str, text: str, frame: Any) -> None:
            if not self._context.is_open() or self._destroyed:
                return
            publisher.publish(
                log(
                    stamp=Time(nanoseconds=stamp_ns).to_msg(),
                    level=int(severity),
                    name=name,
                    msg=text,
                    file=frame.f_code.co_filename,
                    function=frame.f_code.co_name,
                    line=frame.f_lineno,
                )
            )

        logging.add_sink(self._logger.name, send)

    def _publish_parameter_event(
        self, new: list[Parameter], changed: list[Parameter], deleted: list[Parameter]
    ) -> None:
        event = self._parameter_events.msg_type(
            stamp=self._clock.now().to_msg(),
            node=self.get_fully_qualified_name(),
            new_parameters=[parameter.to_parameter_msg() for parameter in new],
            changed_parameters=[parameter.to_parameter_msg() for parameter in changed],
            deleted_parameters=[parameter.to_parameter_msg() for parameter in deleted],
        )
        self._parameter_events.publish(event)

    @property
    def context(self) -> Context:
        """The context that the node lives in."""
        return self._context

    @property
    def executor(self) -> Any:
        """The executor that takes care of the node, or None."""
        return self._executor()

    @executor.setter
    def executor(self, executor: Any) -> None:
        present = self._executor()
        if present is not None and executor is not None and present is not executor:
            present.remove_node(self)
        self._executor = (lambda: None) if executor is None else weakref.ref(executor)
        if executor is not None:
            executor.add_node(self)

    def _wake(self) -> None:
        executor = self._executor()
        if executor is not None:
            executor.wake()

    def get_name(self) -> str:
        """The name, after ``__node``."""
        return self._name

    def get_namespace(self) -> str:
        """The namespace, after ``__ns``."""
        return self._namespace

    def get_fully_qualified_name(self) -> str:
        """Namespace and name."""
        return names.join(self._namespace, self._name)

    def get_clock(self) -> ROSClock:
        """The clock: system time, or ``/clock`` with ``use_sim_time``."""
        return self._clock

    def get_logger(self) -> logging.RcutilsLogger:
        """The logger named for the node."""
        return self._logger

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """The topic's absolute name, after remapping."""
        full = names.expand(topic, self._name, self._namespace)
        return full if only_expand else self._arguments.remap(full, self._name, self._namespace)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """The service's absolute name, after remapping."""
        full = names.expand(service, self._name, self._namespace, service=True)
        if only_expand:
            return full
        return self._arguments.remap(full, self._name, self._namespace, service=True)

    def destroy_node(self) -> None:
        """Takes everything away that the node has, and the node out of the graph."""
        if self._destroyed:
            return
        self._destroyed = True
        logging.remove_sink(self._logger.name)
        executor = self._executor()
        if executor is not None:
            executor.remove_node(self)
        self._destroy_entities()
        if self._context.is_open():
            self._graph.remove_node(self._identity)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy_node()
