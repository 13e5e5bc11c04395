"""Managed nodes walk the states of the ROS 2 design."""

from __future__ import annotations

from typing import Any

import pytest
from support import PATIENCE_S

from avatar_forcing_ros.standalone.exceptions import RCLError
from avatar_forcing_ros.standalone.lifecycle import LifecycleNode
from avatar_forcing_ros.standalone.lifecycle_states import (
    STATES,
    TRANSITIONS,
    TransitionCallbackReturn,
)
from avatar_forcing_ros.standalone.messages import message_class, service_class

String = message_class("std_msgs/msg/String")
SUCCESS, FAILURE, ERROR = TransitionCallbackReturn


class Managed(LifecycleNode):
    """Returns what it is told to, and remembers what it was asked."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.asked: list[str] = []
        self.outcome: Any = SUCCESS
        self.recovery: Any = SUCCESS

    def on_configure(self, state: Any) -> Any:
        self.asked.append(f"configure from {state.label}")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def on_error(self, state: Any) -> Any:
        self.asked.append(f"error from {state.label}")
        return self.recovery


@pytest.fixture
def node(ros: Any) -> Any:
    return ros().node(cls=Managed)


def label(node: Any) -> str:
    return str(node._state_machine.current_state[1])


def test_the_usual_life(node: Any) -> None:
    assert label(node) == "unconfigured"
    for step, state in (
        (node.trigger_configure, "inactive"),
        (node.trigger_activate, "active"),
        (node.trigger_deactivate, "inactive"),
        (node.trigger_cleanup, "unconfigured"),
        (node.trigger_shutdown, "finalized"),
    ):
        assert step() == SUCCESS
        assert label(node) == state
    with pytest.raises(RCLError, match="finalized"):
        node.trigger_configure()


@pytest.mark.parametrize(
    ("outcome", "recovery", "state"),
    [
        (FAILURE, SUCCESS, "unconfigured"),
        (ERROR, SUCCESS, "unconfigured"),
        (ERROR, FAILURE, "finalized"),
        (ERROR, ERROR, "finalized"),
        (ValueError("broken"), SUCCESS, "unconfigured"),
        ("nonsense", FAILURE, "finalized"),
    ],
)
def test_what_goes_wrong(node: Any, outcome: Any, recovery: Any, state: str) -> None:
    node.outcome, node.recovery = outcome, recovery
    assert node.trigger_configure() == (FAILURE if outcome == FAILURE else ERROR)
    assert label(node) == state
    failed = outcome == FAILURE
    expected = ["configure from unconfigured"] + ["error from unconfigured"] * (not failed)
    assert node.asked == expected


def test_a_managed_publisher_speaks_while_active(ros: Any) -> None:
    here = ros()
    node = here.node(cls=LifecycleNode)
    heard: list[str] = []
    node.create_subscription(String, "t", lambda m: heard.append(m.data), 10)
    publisher = node.create_lifecycle_publisher(String, "t", 10)
    here.until(lambda: publisher.get_subscription_count())
    publisher.publish(String(data="before"))
    node.trigger_configure()
    node.trigger_activate()
    assert publisher.is_activated
    publisher.publish(String(data="active"))
    node.trigger_deactivate()
    publisher.publish(String(data="after"))
    node.trigger_activate()
    publisher.publish(String(data="again"))
    here.until(lambda: len(heard) == 2)
    assert heard == ["active", "again"]


def test_others_manage_the_node(ros: Any, peer: Any) -> None:
    here = ros()
    me = here.node()
    events: list[str] = []
    event = message_class("lifecycle_msgs/msg/TransitionEvent")
    me.create_subscription(
        event, "/peer/transition_event", lambda e: events.append(e.goal_state.label), 10
    )
    peer("managed")

    def ask(name: str, kind: str, **transition: Any) -> Any:
        srv = service_class(f"lifecycle_msgs/srv/{kind}")
        client = me.create_client(srv, f"/peer/{name}")
        assert client.wait_for_service(PATIENCE_S)
        request = srv.Request()
        for key, value in transition.items():
            setattr(request.transition, key, value)
        future = client.call_async(request)
        here.until(future.done)
        return future.result()

    here.until(lambda: me.count_publishers("/peer/transition_event"))
    assert ask("get_state", "GetState").current_state.label == "unconfigured"
    assert ask("change_state", "ChangeState", id=1).success
    assert ask("change_state", "ChangeState", label="activate").success
    assert not ask("change_state", "ChangeState", label="configure").success
    assert ask("get_state", "GetState").current_state.id == 3
    assert len(ask("get_available_states", "GetAvailableStates").available_states) == len(STATES)
    graph = ask("get_transition_graph", "GetAvailableTransitions")
    assert len(graph.available_transitions) == len(TRANSITIONS)
    now = ask("get_available_transitions", "GetAvailableTransitions").available_transitions
    assert [t.transition.label for t in now] == ["deactivate", "shutdown"]
    here.until(lambda: len(events) == 4)
    assert events == ["configuring", "inactive", "activating", "active"]
