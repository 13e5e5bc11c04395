"""Executors run what is ready, together only what may run together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from support import PATIENCE_S, wait_until

from avatar_forcing_ros.standalone.callback_groups import (
    CallbackGroup,
    MutuallyExclusiveCallbackGroup,
    ReentrantCallbackGroup,
)
from avatar_forcing_ros.standalone.exceptions import (
    ExternalShutdownException,
    NotInitializedException,
    RCLError,
)
from avatar_forcing_ros.standalone.executors import (
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.node import Node
from avatar_forcing_ros.standalone.task import Future

String = message_class("std_msgs/msg/String")


class Meeting:
    """Counts callbacks that are inside at the same time."""

    def __init__(self, wanted: int) -> None:
        self.inside = self.most = self.visits = 0
        self.lock = threading.Lock()
        self.full = threading.Event()
        self.wanted = wanted

    def __call__(self) -> None:
        with self.lock:
            self.inside += 1
            self.visits += 1
            self.most = max(self.most, self.inside)
            if self.inside == self.wanted:
                self.full.set()
        self.full.wait(0.05 if self.wanted > 2 else PATIENCE_S)
        with self.lock:
            self.inside -= 1


def run(ros: Any, groups: list[CallbackGroup], meeting: Meeting, done: Callable[[], Any]) -> None:
    here = ros()
    node = Node("busy", context=here.context)
    executor = MultiThreadedExecutor(4, context=here.context)
    executor.add_node(node)
    for group in groups:
        node.create_timer(0.001, meeting, callback_group=group)
    spinner = threading.Thread(target=executor.spin)
    spinner.start()
    try:
        assert done()
    finally:
        meeting.full.set()
        executor.shutdown()
        spinner.join(PATIENCE_S)
    assert not spinner.is_alive()


def test_reentrant_callbacks_meet(ros: Any) -> None:
    meeting = Meeting(2)
    run(ros, [ReentrantCallbackGroup()], meeting, lambda: meeting.full.wait(PATIENCE_S))
    assert meeting.most >= 2


def test_different_groups_meet(ros: Any) -> None:
    meeting = Meeting(2)
    groups = [MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()]
    run(ros, groups, meeting, lambda: meeting.full.wait(PATIENCE_S))
    assert meeting.most == 2


def test_one_group_never_meets(ros: Any) -> None:
    meeting = Meeting(3)  # which cannot happen: each visit waits a little for it

    group = MutuallyExclusiveCallbackGroup()
    run(ros, [group, group, group], meeting, lambda: wait_until(lambda: meeting.visits >= 6))
    assert meeting.most == 1


def test_errors_reach_the_one_who_spins(ros: Any) -> None:
    here = ros()
    for kind in (SingleThreadedExecutor, MultiThreadedExecutor):
        executor = kind(context=here.context)
        node = Node("broken", context=here.context)
        executor.add_node(node)
        node.create_timer(0.001, lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            executor.spin()
        executor.shutdown()
        node.destroy_node()


def test_spinning_ends_with_the_context(ros: Any) -> None:
    here = ros()
    here.node()
    caught: list[BaseException] = []

    def spin() -> None:
        try:
            while True:
                here.executor.spin_once()
        except ExternalShutdownException as error:
            caught.append(error)

    spinner = threading.Thread(target=spin)
    spinner.start()
    here.context.shutdown()
    spinner.join(PATIENCE_S)
    assert len(caught) == 1
    with pytest.raises(RCLError):
        here.context.shutdown()
    with pytest.raises(NotInitializedException):
        Node("late", context=here.context)


def test_a_future_ends_spinning(ros: Any) -> None:
    here = ros()
    node = here.node()
    future = Future()
    node.create_timer(0.01, lambda: future.set_result(5))
    here.executor.spin_until_future_complete(future, timeout_sec=PATIENCE_S)
    assert future.result() == 5
    never = Future()
    here.executor.spin_until_future_complete(never, timeout_sec=0.05)
    assert not never.done()
    never.cancel()
    assert never.cancelled()
    assert never.done()


def test_tasks_and_coroutines(ros: Any) -> None:
    here = ros()
    here.node()
    gate = Future()

    async def waits(addend: int) -> int:
        return await gate + addend

    task = here.executor.create_task(waits, 2)
    here.executor.create_task(lambda: gate.set_result(40))
    here.until(task.done)
    assert task.result() == 42

    async def fails() -> None:
        raise KeyError("x")

    here.executor.create_task(fails)
    with pytest.raises(KeyError):
        here.until(lambda: False)


def test_guard_conditions_call_from_any_thread(ros: Any) -> None:
    here = ros()
    calls: list[str] = []
    guard = here.node().create_guard_condition(
        lambda: calls.append(threading.current_thread().name)
    )
    threading.Thread(target=guard.trigger).start()
    here.until(lambda: calls)
    assert calls == [threading.current_thread().name]


def test_a_node_changes_executors(ros: Any) -> None:
    here = ros()
    node = here.node()
    other = SingleThreadedExecutor(context=here.context)
    assert other.add_node(node)
    assert not other.add_node(node)
    assert here.executor.get_nodes() == []
    assert node.executor is other
    heard: list[Any] = []
    node.create_subscription(String, "t", heard.append, 10)
    node.create_publisher(String, "t", 10).publish(String())
    here.executor.spin_once(0.0)
    assert heard == []
    while not heard:
        other.spin_once(PATIENCE_S)
    node.destroy_node()
    node.destroy_node()
    assert other.get_nodes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_program(peer: Any, number: int) -> None:
    other = peer("server")
    assert other.stdout.readline() == "ready\n"
    other.send_signal(number)
    out, err = other.communicate(timeout=PATIENCE_S)
    assert (out, other.returncode) == ("ended\n", 0)
    assert "Traceback" not in err
