"""Protects nodes from their callbacks: what raises is counted, logged, answered, survived."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.executable import SIGNALS, Stopped, StopSignals
from avatar_forcing_ros.nodes.node_base import LifecycleNodeBase, UnrecoverableError
from avatar_forcing_ros.nodes.node_main import serve

PATIENCE_S = 30.0


class Fragile(LifecycleNodeBase):
    """Raises wherever it is called; `fault` is what it raises in a transition."""

    def __init__(self, **options: Any) -> None:
        super().__init__("fragile", **options)
        self.fault: Exception | None = None
        self.held = threading.Event()
        self.held.set()
        self.entered = threading.Event()
        self.called = threading.Semaphore(0)
        self.declare_parameter("size", 3)
        self.add_on_set_parameters_callback(self._raise)
        beside = ReentrantCallbackGroup()
        self.create_service(Trigger, "break", self._raise, callback_group=beside)
        self.create_subscription(Empty, "noise", self._raise, 10)
        self.create_subscription(Empty, "broken", self._refuse, 10)
        self.create_subscription(Empty, "hopeless", self._give_up, 10)

    def tick(self) -> None:
        self.create_timer(0.01, self._raise, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def configure(self) -> None:
        self.entered.set()
        assert self.held.wait(PATIENCE_S)
        if self.fault:
            raise self.fault

    def _raise(self, *_: Any) -> Any:
        self.called.release()
        raise ValueError("a fault in a callback")

    def _refuse(self, _: Empty) -> None:
        self.called.release()
        raise BadMessage("size", "image", expected="some", got="none", remedy="send another")

    def _give_up(self, _: Empty) -> None:
        raise UnrecoverableError("the page", expected="one", got="none", remedy="start anew")


class Graph:
    """A node that is served as a program's is, and a client of it."""

    def __init__(self) -> None:
        # one for both: between two of one process Fast DDS loses requests that come early
        self.context = Context()
        self.context.init()
        self.signals = StopSignals()
        self.node = Fragile(context=self.context)
        self.client = Node("client", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.client)
        self.clients: dict[str, Any] = {}
        self.failures: list[Exception] = []
        self.thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        try:
            serve(self.node, self.signals, threads=3)
        except UnrecoverableError as error:
            self.failures.append(error)

    def ask(self, kind: Any, name: str, request: Any = None) -> Any:
        return self.begin(kind, name, request)()

    def begin(self, kind: Any, name: str, request: Any = None) -> Callable[[], Any]:
        """Ask, by one client for each service; what is returned waits for the answer."""
        if name not in self.clients:
            self.clients[name] = self.client.create_client(kind, name)
        client = self.clients[name]
        assert client.wait_for_service(PATIENCE_S)
        future = client.call_async(request or kind.Request())

        def answer() -> Any:
            self.executor.spin_until_future_complete(future, PATIENCE_S)
            assert future.done()
            return future.result()

        return answer

    def change(self, **transition: Any) -> bool:
        request = ChangeState.Request(transition=Transition(**transition))
        return bool(self.ask(ChangeState, "fragile/change_state", request).success)

    @property
    def state(self) -> str:
        return str(self.ask(GetState, "fragile/get_state").current_state.label)

    def send(self, topic: str) -> None:
        publisher = self.client.create_publisher(Empty, topic, 10)
        while not publisher.get_subscription_count():
            self.executor.spin_once(timeout_sec=0.05)
        publisher.publish(Empty())

    def end(self) -> None:
        self.signals.request()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        self.executor.shutdown()
        self.client.destroy_node()


@pytest.fixture
def graph() -> Iterator[Graph]:
    made = Graph()
    made.thread.start()
    yield made
    made.end()


def test_a_service_that_raises_is_answered(graph: Graph) -> None:
    for _ in range(2):
        answer = graph.ask(Trigger, "break")
        assert not answer.success
        assert answer.message == "service break: ValueError: a fault in a callback"
    assert graph.node.errors.counts == {"service break failed": 2}


def test_a_change_of_parameters_that_raises_is_refused(graph: Graph) -> None:
    request = SetParameters.Request(parameters=[Parameter("size", value=4).to_parameter_msg()])
    (result,) = graph.ask(SetParameters, "fragile/set_parameters", request).results
    assert (result.successful, result.reason) == (
        False,
        "parameters: ValueError: a fault in a callback",
    )
    assert graph.node.get_parameter("size").value == 3


def test_messages_and_timers_that_raise_do_not_end_the_node(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.send("noise")
    graph.node.tick()
    for _ in range(5):
        assert graph.node.called.acquire(timeout=PATIENCE_S)
    assert graph.state == "unconfigured"
    counts = graph.node.errors.counts
    assert counts["noise failed"] == 1
    assert counts["timer raise failed"] >= 2
    log = capfd.readouterr().err
    assert log.count("timer raise: ValueError: a fault in a callback") == 1  # and then no more
    assert "in _raise" in log  # where it was


def test_a_bad_message_is_counted_by_its_reason_and_logged_without_a_trace(
    graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.send("broken")
    assert graph.node.called.acquire(timeout=PATIENCE_S)
    assert graph.state == "unconfigured"
    assert graph.node.errors.counts == {"broken size": 1}
    logged = capfd.readouterr().err
    assert "broken: image: expected some, got none; send another" in logged
    assert "Traceback" not in logged


@pytest.mark.parametrize(
    "transition",
    [
        {"id": Transition.TRANSITION_ACTIVATE},
        {"id": 99},
        {"label": "nonsense"},
        {"label": "activate"},
    ],
)
def test_a_transition_that_is_not_allowed_is_refused(
    graph: Graph, transition: dict[str, Any]
) -> None:
    assert not graph.change(**transition)
    assert graph.state == "unconfigured"
    assert graph.change(id=Transition.TRANSITION_CONFIGURE)


def test_a_transition_while_another_runs_waits_and_is_refused(graph: Graph) -> None:
    graph.node.held.clear()
    configure = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    answers = [graph.begin(ChangeState, "fragile/change_state", configure)]
    while not graph.node.entered.is_set():
        graph.executor.spin_once(timeout_sec=0.05)
    answers.append(graph.begin(ChangeState, "fragile/change_state", configure))
    graph.node.held.set()
    assert [answer().success for answer in answers] == [True, False]
    assert graph.state == "inactive"


@pytest.mark.parametrize(
    ("fault", "logged"),
    [
        (ConfigError("size", expected="3", got="4", remedy="mend it"), "configure: size"),
        (ValueError("a fault"), "ValueError: a fault"),
    ],
)
def test_a_transition_that_raises_can_be_tried_again(
    graph: Graph, fault: Exception, logged: str, capfd: pytest.CaptureFixture[str]
) -> None:
    graph.node.fault = fault
    assert not graph.change(id=Transition.TRANSITION_CONFIGURE)
    assert logged in capfd.readouterr().err
    assert graph.state == "unconfigured"
    graph.node.fault = None
    assert graph.change(id=Transition.TRANSITION_CONFIGURE)


def test_after_shutdown_nothing_is_allowed_and_all_is_answered(graph: Graph) -> None:
    assert graph.change(label="shutdown")
    assert graph.state == "finalized"
    assert not graph.change(id=Transition.TRANSITION_CONFIGURE)
    assert not graph.change(label="shutdown")


def test_what_cannot_be_recovered_ends_the_node(graph: Graph) -> None:
    graph.send("hopeless")
    graph.send("noise")  # several threads: noticed when the next callback is served
    graph.thread.join(PATIENCE_S)
    assert not graph.thread.is_alive()
    assert [str(failure) for failure in graph.failures] == [
        "the page: expected one, got none; start anew"
    ]


def test_the_end_waits_for_callbacks_and_lets_no_more_begin(graph: Graph) -> None:
    graph.node.held.clear()
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    graph.begin(ChangeState, "fragile/change_state", request)
    while not graph.node.entered.is_set():
        graph.executor.spin_once(timeout_sec=0.05)
    assert not graph.node.close_callbacks(0.0)
    refused = graph.ask(Trigger, "break")
    assert (refused.success, refused.message) == (False, "the node is ending")
    graph.signals.request()
    assert graph.thread.is_alive()
    graph.node.held.set()
    graph.thread.join(PATIENCE_S)
    assert not graph.thread.is_alive()


def test_a_signal_that_comes_to_another_thread_ends_the_wait() -> None:
    """The kernel chooses the thread; Python's handlers run in the main thread alone."""
    handlers = [(number, signal.getsignal(number)) for number in SIGNALS]
    signals, over, given_up = StopSignals(), threading.Event(), []
    signals.loaded()

    def send() -> None:
        time.sleep(0.2)  # now the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        if not over.wait(PATIENCE_S):
            given_up.append(True)
            signals.request()

    thread = threading.Thread(target=send)
    try:
        signals.install()
        thread.start()
        signals.wait()
        over.set()
    finally:
        signals.ignore()
        for number, handler in handlers:
            signal.signal(number, handler)
    thread.join()
    assert not given_up


def test_work_is_interrupted_once_and_only_where_it_may_be() -> None:
    handlers = [(number, signal.getsignal(number)) for number in SIGNALS]
    signals = StopSignals()
    signals.loaded()
    try:
        signals.install()
        with pytest.raises(Stopped), signals.interrupting():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the next one only asks
    finally:
        signals.ignore()
        for number, handler in handlers:
            signal.signal(number, handler)
    assert signals.requested
    signals.wait()
    with pytest.raises(Stopped), signals.interrupting():
        raise AssertionError("it was asked to end before")
