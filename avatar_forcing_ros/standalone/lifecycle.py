"""Managed nodes: ``rclpy.lifecycle`` without ROS."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

from avatar_forcing_ros.standalone.callback_groups import CallbackGroup
from avatar_forcing_ros.standalone.exceptions import RCLError
from avatar_forcing_ros.standalone.lifecycle_states import (
    STATES,
    TRANSITIONS,
    LifecycleState,
    StateMachine,
    Transition,
    TransitionCallbackReturn,
)
from avatar_forcing_ros.standalone.messages import message_class, service_class
from avatar_forcing_ros.standalone.node import Node
from avatar_forcing_ros.standalone.time import Time
from avatar_forcing_ros.standalone.topics import Publisher

_SUCCESS = TransitionCallbackReturn.SUCCESS
# the state in which each callback runs
_CALLBACKS = {
    "configuring": "on_configure",
    "cleaningup": "on_cleanup",
    "shuttingdown": "on_shutdown",
    "activating": "on_activate",
    "deactivating": "on_deactivate",
    "errorprocessing": "on_error",
}


class ManagedEntity:
    """Takes part in its node's transitions; everything succeeds unless it is overridden."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The node is configured; ``state`` is the one it comes from."""
        return _SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The node is cleaned up."""
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The node is shut down."""
        return _SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The node becomes active."""
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The node rests."""
        return _SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition went wrong; success brings the node back to unconfigured."""
        return _SUCCESS


class SimpleManagedEntity(ManagedEntity):
    """Knows whether its node is active."""

    def __init__(self) -> None:
        self._enabled = False

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From now on it is activated."""
        self._enabled = True
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From now on it is not."""
        self._enabled = False
        return _SUCCESS

    @property
    def is_activated(self) -> bool:
        """Whether the node is active."""
        return self._enabled

    @staticmethod
    def when_enabled(
        wrapped: Any = None, *, when_not_enabled: Callable[[], None] | None = None
    ) -> Any:
        """Decorator: the method does nothing while the node is not active."""

        def decorate(method: Any) -> Any:
            @wraps(method)
            def only_when_enabled(self: SimpleManagedEntity, *args: Any, **kwargs: Any) -> Any:
                if self._enabled:
                    return method(self, *args, **kwargs)
                return None if when_not_enabled is None else when_not_enabled()

            return only_when_enabled

        return decorate if wrapped is None else decorate(wrapped)


class LifecyclePublisher(SimpleManagedEntity, Publisher):
    """Publishes while its node is active; what comes at other times is dropped."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        SimpleManagedEntity.__init__(self)
        Publisher.__init__(self, *args, **kwargs)

    def publish(self, msg: Any) -> None:
        """Sends the message if the node is active."""
        if self.is_activated:
            Publisher.publish(self, msg)


def _asking(callback: str) -> Any:
    def ask(self: LifecycleNodeMixin, state: LifecycleState) -> TransitionCallbackReturn:
        """Asks the managed entities; the first that does not succeed decides."""
        return self._ask_entities(callback, state)

    return ask


def _triggering(label: str) -> Any:
    def trigger(self: LifecycleNodeMixin) -> TransitionCallbackReturn:
        """Takes that transition; raises RCLError where it does not start in this state."""
        return self._change(label)

    return trigger


class LifecycleNodeMixin(ManagedEntity):
    """The part of a managed node that is about its life; a ``Node`` must be beside it."""

    def __init__(
        self,
        *,
        enable_communication_interface: bool = True,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self._state_machine = StateMachine()
        self._managed: list[ManagedEntity] = []
        self._transition_events: Any = None
        if enable_communication_interface:
            self._offer_services(callback_group)

    def _offer_services(self, group: CallbackGroup | None) -> None:
        node: Any = self
        for kind, name, callback in (
            ("ChangeState", "change_state", self._serve_change),
            ("GetState", "get_state", self._serve_state),
            ("GetAvailableStates", "get_available_states", self._serve_states),
            ("GetAvailableTransitions", "get_available_transitions", self._serve_available),
            ("GetAvailableTransitions", "get_transition_graph", self._serve_graph),
        ):
            srv_type = service_class(f"lifecycle_msgs/srv/{kind}")
            node.create_service(srv_type, f"~/{name}", callback, callback_group=group)
        self._transition_events = Node.create_publisher(
            node, message_class("lifecycle_msgs/msg/TransitionEvent"), "~/transition_event", 10
        )

    def add_managed_entity(self, entity: ManagedEntity) -> None:
        """From now on the entity takes part in transitions; raises TypeError for others."""
        if not isinstance(entity, ManagedEntity):
            raise TypeError("Expected a rclpy.lifecycle.ManagedEntity instance.")
        if entity not in self._managed:
            self._managed.append(entity)

    def create_lifecycle_publisher(self, *args: Any, **kwargs: Any) -> Any:
        """A publisher that is silent while the node is not active."""
        node: Any = self
        publisher = Node.create_publisher(
            node, *args, publisher_class=LifecyclePublisher, **kwargs
        )
        self.add_managed_entity(publisher)
        return publisher

    def destroy_lifecycle_publisher(self, publisher: LifecyclePublisher) -> bool:
        """Takes the publisher away; False where it is not this node's."""
        if publisher in self._managed:
            self._managed.remove(publisher)
        node: Any = self
        return Node.destroy_publisher(node, publisher)

    def _ask_entities(self, callback: str, state: LifecycleState) -> TransitionCallbackReturn:
        for entity in list(self._managed):
            result = getattr(entity, callback)(state)
            if not isinstance(result, TransitionCallbackReturn):
                raise TypeError(f"{callback} of {entity} must return a TransitionCallbackReturn")
            if result != _SUCCESS:
                return result
        return _SUCCESS

    on_configure = _asking("on_configure")
    on_cleanup = _asking("on_cleanup")
    on_shutdown = _asking("on_shutdown")
    on_activate = _asking("on_activate")
    on_deactivate = _asking("on_deactivate")
    on_error = _asking("on_error")

    trigger_configure = _triggering("configure")
    trigger_cleanup = _triggering("cleanup")
    trigger_activate = _triggering("activate")
    trigger_deactivate = _triggering("deactivate")
    trigger_shutdown = _triggering("shutdown")

    def _change(self, key: int | str) -> TransitionCallbackReturn:
        before = self._state_machine.state
        self._go(key)
        result = self._call_back(before)
        self._go(result.to_label())
        if result == TransitionCallbackReturn.ERROR:
            self._go(self._call_back(before).to_label())
        return result

    def _go(self, key: int | str) -> None:
        transition = self._state_machine.go(key)
        if self._transition_events is not None:
            event = self._transition_events.msg_type(**_described(transition))
            if hasattr(event, "timestamp"):
                event.timestamp = time.time_ns()
            else:  # since Lyrical
                event.stamp = Time(nanoseconds=time.time_ns()).to_msg()
            self._transition_events.publish(event)

    def _call_back(self, before: LifecycleState) -> TransitionCallbackReturn:
        name = _CALLBACKS[self._state_machine.state.label]
        node: Any = self
        try:
            result = getattr(self, name)(before)
            if isinstance(result, TransitionCallbackReturn):
                return result
            node.get_logger().error(f"{name} returned {result!r}, no TransitionCallbackReturn")
        except Exception:
            node.get_logger().error(f"{name} raised\n{traceback.format_exc()}")
        return TransitionCallbackReturn.ERROR

    def _serve_change(self, request: Any, response: Any) -> Any:
        wanted = request.transition.label or request.transition.id
        node: Any = self
        try:
            response.success = self._change(wanted) == _SUCCESS
        except RCLError as error:
            node.get_logger().warning(str(error))
            response.success = False
        return response

    def _serve_state(self, _: Any, response: Any) -> Any:
        response.current_state = _state(self._state_machine.state)
        return response

    def _serve_states(self, _: Any, response: Any) -> Any:
        response.available_states = [_state(state) for state in STATES]
        return response

    def _serve_available(self, _: Any, response: Any) -> Any:
        response.available_transitions = [
            _described_msg(t) for t in self._state_machine.available()
        ]
        return response

    def _serve_graph(self, _: Any, response: Any) -> Any:
        response.available_transitions = [_described_msg(t) for t in TRANSITIONS]
        return response


class LifecycleNode(LifecycleNodeMixin, Node):
    """A node that is configured, activated, deactivated and cleaned up from outside."""

    def __init__(
        self, node_name: str, *, enable_communication_interface: bool = True, **options: Any
    ) -> None:
        Node.__init__(self, node_name, **options)
        LifecycleNodeMixin.__init__(
            self, enable_communication_interface=enable_communication_interface
        )


def _state(state: LifecycleState) -> Any:
    return message_class("lifecycle_msgs/msg/State")(id=state.state_id, label=state.label)


def _described(transition: Transition) -> dict[str, Any]:
    cls = message_class("lifecycle_msgs/msg/Transition")
    return {
        "transition": cls(id=transition.transition_id, label=transition.label),
        "start_state": _state(transition.start),
        "goal_state": _state(transition.goal),
    }


def _described_msg(transition: Transition) -> Any:
    return message_class("lifecycle_msgs/msg/TransitionDescription")(**_described(transition))
