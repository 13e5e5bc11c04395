"""What all nodes have in common: callbacks that cannot end the node, transitions that are logged.

rclpy lets an exception in a callback out of `spin()`, which ends the process and leaves the
caller of a service without an answer; in a transition it becomes a failure without a log line.
"""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import (
    LifecycleNode,
    LifecyclePublisher,
    LifecycleState,
    TransitionCallbackReturn,
)
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.nodes.diagnostics import BadMessage, ErrorCounter
from avatar_forcing_ros.nodes.executable import StopSignals
from avatar_forcing_ros.nodes.interface import TABLE, events
from avatar_forcing_ros.nodes.parameters import refused

REPORT_PERIOD_S = 1.0
# their text is enough: a trace would lead into ROS, or to the place that raises it on purpose
EXPLAINED = (AvatarForcingError, rclpy_implementation.RCLError, InvalidHandle)


class UnrecoverableError(AvatarForcingError):
    """The node is of no use any more: of all exceptions in a callback this one ends it."""


class NodeBase(Node):
    """A node whose callbacks may raise: that is counted in `errors`, logged, and answered.

    A callback that cannot use its message raises BadMessage. `start`, `work` and `close` are what
    `run_node` calls, all in the main thread.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.errors = ErrorCounter(self)
        self._running_callbacks = 0
        self._callbacks_closed = False
        self._change = threading.Condition()
        super().__init__(name, **options)

    def start(self, signals: StopSignals) -> None:
        """Begin, before callbacks are served; raises AvatarForcingError where that cannot be."""

    def work(self, signals: StopSignals) -> None:
        """The main thread's work while callbacks are served elsewhere; its return is the end."""
        signals.wait()

    def close(self) -> None:
        """End threads and release everything that was acquired; callbacks are over."""

    def now_ns(self) -> int:
        """The time of the node's clock, which is ROS time."""
        return int(self.get_clock().now().nanoseconds)

    def close_callbacks(self, timeout_s: float) -> bool:
        """Serve none any more, and wait for those that run; False where they take longer."""
        with self._change:
            self._callbacks_closed = True
            return self._change.wait_for(lambda: self._running_callbacks == 0, timeout_s)

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable[..., Any], *args: Any, **options: Any
    ) -> Subscription:
        """As rclpy's."""
        guarded = self.guarded(topic, callback, lambda *_: None)
        return super().create_subscription(msg_type, topic, guarded, *args, **options)

    def create_table_publisher(
        self, name: str, message: Any, *, managed: bool = False
    ) -> Publisher:
        """A publisher of the topic `name` of the table; users may override its QoS.

        A `managed` one, of a lifecycle node, is silent unless its node is active. A subscriber
        whose QoS does not fit is counted.
        """
        create = getattr(self, "create_lifecycle_publisher" if managed else "create_publisher")

        def incompatible(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self.errors.count(
                f"{name} qos",
                f"{name}: a subscriber asks for more {policy} than is offered, and receives "
                f"nothing; change it there, or here by qos_overrides.{name}.publisher.*",
            )

        return create(
            message,
            name,
            TABLE[name].profile(),
            event_callbacks=events.PublisherEventCallbacks(incompatible_qos=incompatible),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def create_timer(
        self, timer_period_sec: float, callback: Callable[..., Any], *args: Any, **options: Any
    ) -> Timer:
        """As rclpy's."""
        name = getattr(callback, "__name__", "timer").strip("_")
        guarded = self.guarded(f"timer {name}", callback, lambda *_: None)
        return super().create_timer(timer_period_sec, guarded, *args, **options)

    def create_steady_timer(
        self, period_s: float, callback: Callable[[], None], group: CallbackGroup | None = None
    ) -> Timer:
        """A timer that goes on while simulated time stands still."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        return self.create_timer(period_s, callback, callback_group=group, clock=steady)

    def create_service(
        self, srv_type: Any, srv_name: str, callback: Callable[..., Any], **options: Any
    ) -> Service:
        """As rclpy's; a callback that raises answers with `success` false."""
        guarded = self.guarded(f"service {srv_name}", callback, _failure)
        return super().create_service(srv_type, srv_name, guarded, **options)

    def add_on_set_parameters_callback(self, callback: Callable[..., Any]) -> None:
        """As rclpy's; a callback that raises refuses the change."""
        super().add_on_set_parameters_callback(
            self.guarded("parameters", callback, lambda sentence, *_: refused(sentence))
        )

    def publish_diagnostics(
        self, report: Callable[[], Sequence[DiagnosticStatus]], group: CallbackGroup | None = None
    ) -> None:
        """From now on publish what `report` returns in /diagnostics, every second."""
        publisher = self.create_table_publisher("/diagnostics", DiagnosticArray)

        def publish() -> None:
            array = DiagnosticArray(status=list(report()))
            array.header.stamp = self.get_clock().now().to_msg()
            publisher.publish(array)

        self.create_steady_timer(REPORT_PERIOD_S, publish, group)

    def guarded(
        self, what: str, callback: Callable[..., Any], otherwise: Callable[..., Any]
    ) -> Callable[..., Any]:
        """`callback`, or what `otherwise` makes of a sentence and the same arguments.

        The latter where the callback raises, and once the node is ending.
        """

        @functools.wraps(callback)  # rclpy counts a callback's parameters
        def call(*args: Any) -> Any:
            with self._change:
                if self._callbacks_closed:
                    return otherwise("the node is ending", *args)
                self._running_callbacks += 1
            try:
                return callback(*args)
            except UnrecoverableError:
                raise
            except Exception as error:
                return otherwise(self.note_error(what, error), *args)
            finally:
                with self._change:
                    self._running_callbacks -= 1
                    self._change.notify_all()

        return call

    def note_error(self, what: str, error: Exception) -> str:
        """Count and log the exception that is being handled; a sentence about it."""
        sentence, trace = f"{what}: {one_line(error)}", ""
        if not isinstance(error, EXPLAINED):
            sentence = f"{what}: {type(error).__name__}: {one_line(error)}"
            trace = f"\n{traceback.format_exc()}"
        if self.context.ok():
            reason = error.reason if isinstance(error, BadMessage) else "failed"
            self.errors.count(f"{what} {reason}", sentence + trace)
        return sentence


class LifecycleNodeBase(NodeBase, LifecycleNode):
    """Override `configure`, `activate`, `deactivate` and `cleanup`, which may raise.

    An expected failure (AvatarForcingError) is one line and a failed transition: the node stays
    in its state and can try again. Anything else is logged with its trace.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        for service in self.services:
            # rclpy raises where the transition is not allowed in the present state
            if service.srv_type is ChangeState:
                service.callback = self.guarded("change_state", service.callback, _failure)

    def destroy_publisher(self, publisher: Publisher) -> bool:
        """As rclpy's, of either kind: a lifecycle node keeps a list of its managed ones."""
        if isinstance(publisher, LifecyclePublisher):
            return bool(self.destroy_lifecycle_publisher(publisher))
        return bool(super().destroy_publisher(publisher))

    def configure(self) -> None:
        """Load and make ready; nothing is published yet."""

    def activate(self) -> None:
        """Begin."""

    def deactivate(self) -> None:
        """Pause; `activate` begins anew."""

    def cleanup(self) -> None:
        """Release what `configure` acquired."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._logged("configure", self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._logged("activate", self.activate)
        if result == TransitionCallbackReturn.SUCCESS:
            return super().on_activate(state)  # opens the lifecycle publishers
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_deactivate(state)
        return self._logged("deactivate", self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._logged("clean up", self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        def both() -> None:
            self.deactivate()
            self.cleanup()

        return self._logged("shut down", both)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self.on_shutdown(state)

    def _logged(self, what: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            work()
        except AvatarForcingError as error:
            self.get_logger().error(f"Could not {what}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().fatal(f"Could not {what}:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS


def one_line(error: BaseException) -> str:
    """The text of `error`, without the places in ROS's own sources."""
    return " ".join(str(error).split()).partition(", at /")[0]


def _failure(sentence: str, request: Any, response: Any) -> Any:
    """A response of failure with its reason, as far as the service's type has fields for them."""
    if hasattr(response, "success"):
        response.success = False
    if hasattr(response, "message"):
        response.message = sentence
    return response
