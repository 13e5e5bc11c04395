"""Requests find their service, answers find their client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support import PATIENCE_S

from avatar_forcing_ros.standalone.callback_groups import ReentrantCallbackGroup
from avatar_forcing_ros.standalone.executors import MultiThreadedExecutor
from avatar_forcing_ros.standalone.messages import message_class, service_class

Trigger = service_class("std_srvs/srv/Trigger")
SetBool = service_class("std_srvs/srv/SetBool")


def answer(request: Any, response: Any) -> Any:
    response.success = request.data
    response.message = "answered"
    return response


def test_a_service_in_another_process(ros: Any, peer: Any) -> None:
    here = ros()
    client = here.node().create_client(Trigger, "/peer/where")
    peer("server")
    assert client.wait_for_service(PATIENCE_S)
    futures = [client.call_async(Trigger.Request()) for _ in range(5)]
    here.until(lambda: all(future.done() for future in futures))
    assert {future.result().message for future in futures} == {"/peer"}


def test_answers_go_to_the_one_who_asked(ros: Any) -> None:
    here = ros()
    node = here.node()
    node.create_service(SetBool, "set", answer)
    one, two = node.create_client(SetBool, "set"), node.create_client(SetBool, "set")
    assert one.wait_for_service(PATIENCE_S)
    assert two.wait_for_service(PATIENCE_S)
    yes, no = one.call_async(SetBool.Request(data=True)), two.call_async(SetBool.Request())
    here.until(lambda: yes.done() and no.done())
    assert (yes.result().success, no.result().success) == (True, False)


def test_nobody_answers(ros: Any) -> None:
    client = ros().node().create_client(Trigger, "nobody")
    assert not client.service_is_ready()
    assert not client.wait_for_service(0.05)
    with pytest.raises(TimeoutError, match="/nobody"):
        client.call(Trigger.Request(), timeout_sec=0.05)
    with pytest.raises(TypeError, match="Trigger_Request"):
        client.call_async(SetBool.Request())


def test_the_first_call_after_discovery_is_answered(ros: Any, peer: Any) -> None:
    """The service waits until the client can hear the answer."""
    peer("server")
    for _ in range(5):
        here = ros()
        client = here.node().create_client(Trigger, "/peer/where")
        assert client.wait_for_service(PATIENCE_S)
        future = client.call_async(Trigger.Request())
        here.until(future.done)
        here.context.try_shutdown()


@pytest.fixture
def threads(ros: Any) -> Iterator[Any]:
    """A node that three threads spin."""
    here = ros()
    executor = MultiThreadedExecutor(3, context=here.context)
    from avatar_forcing_ros.standalone.node import Node

    node = Node("threads", context=here.context)
    executor.add_node(node)
    spinner = threading.Thread(target=executor.spin)
    spinner.start()
    yield node
    executor.shutdown()
    spinner.join(PATIENCE_S)


def test_a_callback_may_wait_for_another_service(threads: Any) -> None:
    group = ReentrantCallbackGroup()
    inner = threads.create_client(SetBool, "inner", callback_group=group)
    threads.create_service(SetBool, "inner", answer)

    def outer(request: Any, response: Any) -> Any:
        assert inner.wait_for_service(PATIENCE_S)
        return inner.call(SetBool.Request(data=True), timeout_sec=PATIENCE_S)

    threads.create_service(SetBool, "outer", outer, callback_group=group)
    client = threads.create_client(SetBool, "outer", callback_group=group)
    assert client.wait_for_service(PATIENCE_S)
    assert client.call(SetBool.Request(), timeout_sec=PATIENCE_S).success


def test_a_coroutine_answers(ros: Any) -> None:
    here = ros()
    node = here.node()
    group = ReentrantCallbackGroup()
    inner = node.create_client(SetBool, "inner", callback_group=group)
    node.create_service(SetBool, "inner", answer)

    async def outer(request: Any, response: Any) -> Any:
        return await inner.call_async(SetBool.Request(data=True))

    node.create_service(SetBool, "outer", outer, callback_group=group)
    client = node.create_client(SetBool, "outer", callback_group=group)
    assert inner.wait_for_service(PATIENCE_S)
    assert client.wait_for_service(PATIENCE_S)
    future = client.call_async(SetBool.Request())
    here.until(future.done)
    assert future.result().success


def test_a_wrong_answer_is_an_error(ros: Any) -> None:
    here = ros()
    node = here.node()
    wrong = message_class("std_msgs/msg/String")()
    node.create_service(Trigger, "wrong", lambda request, response: wrong)
    client = node.create_client(Trigger, "wrong")
    assert client.wait_for_service(PATIENCE_S)
    client.call_async(Trigger.Request())
    with pytest.raises(TypeError, match="Trigger_Response"):
        here.until(lambda: False)
