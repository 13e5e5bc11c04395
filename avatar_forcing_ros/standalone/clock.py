"""Clocks, and the ROS clock that follows ``/clock`` while ``use_sim_time`` is set."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.qos import QoSProfile, ReliabilityPolicy
from avatar_forcing_ros.standalone.time import ClockType, Duration, Time


class ClockChange(IntEnum):
    """What happened to the source of ROS time."""

    ROS_TIME_NO_CHANGE = 1
    ROS_TIME_ACTIVATED = 2
    ROS_TIME_DEACTIVATED = 3
    SYSTEM_TIME_NO_CHANGE = 4


class TimeJump:
    """A jump as callbacks get it: the kind of change and how far the clock went."""

    def __init__(self, clock_change: ClockChange, delta: Duration) -> None:
        self.clock_change = clock_change
        self.delta = delta


class JumpThreshold:
    """From which jump on a callback is called; None for a direction that is of no interest."""

    def __init__(
        self,
        *,
        min_forward: Duration | None,
        min_backward: Duration | None,
        on_clock_change: bool = True,
    ) -> None:
        self.min_forward = min_forward
        self.min_backward = min_backward
        self.on_clock_change = on_clock_change

    def exceeded_by(self, jump: TimeJump) -> bool:
        """Whether the jump is worth a call."""
        if jump.clock_change in (
            ClockChange.ROS_TIME_ACTIVATED,
            ClockChange.ROS_TIME_DEACTIVATED,
        ):
            return self.on_clock_change
        if self.min_forward is not None and jump.delta >= self.min_forward:
            return True
        return self.min_backward is not None and jump.delta <= self.min_backward


class JumpHandle:
    """A callback's registration; it lasts until ``unregister``."""

    def __init__(
        self,
        clock: Clock,
        threshold: JumpThreshold,
        pre_callback: Callable[[], None] | None,
        post_callback: Callable[[TimeJump], None] | None,
    ) -> None:
        self._clock = clock
        self.threshold = threshold
        self.pre_callback = pre_callback
        self.post_callback = post_callback

    def unregister(self) -> None:
        """No more calls; twice is harmless."""
        if self in self._clock._jump_handles:
            self._clock._jump_handles.remove(self)

    def __enter__(self) -> JumpHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.unregister()


class Clock:
    """Reads one kind of clock; ``Clock(clock_type=ROS_TIME)`` gives a ROSClock."""

    def __new__(cls, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> Clock:
        return super().__new__(ROSClock if clock_type == ClockType.ROS_TIME else cls)

    def __init__(self, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> None:
        self._clock_type = ClockType(clock_type)
        self._jump_handles: list[JumpHandle] = []
        self._override_ns: int | None = None

    @property
    def clock_type(self) -> ClockType:
        """Which kind it is."""
        return self._clock_type

    def __repr__(self) -> str:
        return f"Clock(clock_type={self._clock_type.name})"

    def now_ns(self) -> int:
        """Nanoseconds since the clock's epoch."""
        if self._override_ns is not None:
            return self._override_ns
        if self._clock_type == ClockType.STEADY_TIME:
            return time.monotonic_ns()
        return time.time_ns()

    def now(self) -> Time:
        """The present time."""
        return Time(nanoseconds=self.now_ns(), clock_type=self._clock_type)

    def create_jump_callback(
        self,
        threshold: JumpThreshold,
        *,
        pre_callback: Callable[[], None] | None = None,
        post_callback: Callable[[TimeJump], None] | None = None,
    ) -> JumpHandle:
        """Calls back around jumps that exceed the threshold, until the handle is unregistered."""
        handle = JumpHandle(self, threshold, pre_callback, post_callback)
        self._jump_handles.append(handle)
        return handle

    def sleep_until(self, until: Time, context: Any = None) -> bool:
        """Sleeps until the clock shows ``until``; False where the context is shut down first."""
        from avatar_forcing_ros.standalone.context import get_default_context

        context = context or get_default_context()
        if until.clock_type != self._clock_type:
            raise ValueError("until's clock type does not match this clock's type")
        while (left_ns := until.nanoseconds - self.now_ns()) > 0:
            # simulated time moves on its own; the context may be shut down at any moment
            slice_s = 0.01 if self._override_ns is not None else min(left_ns / 1e9, 0.1)
            if not context.ok():
                return False
            time.sleep(slice_s)
        return True

    def sleep_for(self, rel_time: Duration, context: Any = None) -> bool:
        """Sleeps for a span of this clock's time; False where the context is shut down first."""
        return self.sleep_until(self.now() + rel_time, context)


class ROSClock(Clock):
    """System time, or whatever ``/clock`` says while ROS time is active."""

    def __new__(cls) -> ROSClock:
        return object.__new__(cls)

    def __init__(self, *, clock_type: ClockType = ClockType.ROS_TIME) -> None:
        super().__init__(clock_type=ClockType.ROS_TIME)

    @property
    def ros_time_is_active(self) -> bool:
        """Whether ``/clock`` rules."""
        return self._override_ns is not None

    def _set_ros_time_is_active(self, enabled: bool) -> None:
        if enabled == self.ros_time_is_active:
            return
        change = ClockChange.ROS_TIME_ACTIVATED if enabled else ClockChange.ROS_TIME_DEACTIVATED
        self._jump(change, 0 if enabled else None)

    def set_ros_time_override(self, time: Time) -> None:
        """Sets the time, if ROS time is active."""
        if self.ros_time_is_active:
            self._jump(ClockChange.ROS_TIME_NO_CHANGE, time.nanoseconds)

    def _jump(self, change: ClockChange, override_ns: int | None) -> None:
        before_ns = self.now_ns()
        after_ns = time.time_ns() if override_ns is None else override_ns
        jump = TimeJump(change, Duration(nanoseconds=after_ns - before_ns))
        concerned = [h for h in list(self._jump_handles) if h.threshold.exceeded_by(jump)]
        for handle in concerned:
            if handle.pre_callback is not None:
                handle.pre_callback()
        self._override_ns = override_ns
        for handle in concerned:
            if handle.post_callback is not None:
                handle.post_callback(jump)


class TimeSource:
    """Feeds a node's clock from ``/clock`` while its parameter ``use_sim_time`` is true."""

    def __init__(self, node: Any, clock: ROSClock) -> None:
        self._node = weakref.proxy(node)
        self._clock = clock
        self._subscription: Any = None
        self._lock = threading.Lock()
        if not node.has_parameter("use_sim_time"):
            node.declare_parameter("use_sim_time", False)
        self._follow(node.get_parameter("use_sim_time").value)
        node.add_on_set_parameters_callback(self._on_parameters)

    def _follow(self, simulated: bool) -> None:
        with self._lock:
            if simulated and self._subscription is None:
                self._subscription = self._node.create_subscription(
                    message_class("rosgraph_msgs/msg/Clock"),
                    "/clock",
                    self._on_clock,
                    QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
                )
            elif not simulated and self._subscription is not None:
                self._node.destroy_subscription(self._subscription)
                self._subscription = None
        self._clock._set_ros_time_is_active(bool(simulated))

    def _on_clock(self, message: Any) -> None:
        self._clock.set_ros_time_override(Time.from_msg(message.clock))

    def _on_parameters(self, parameters: list[Any]) -> Any:
        result = message_class("rcl_interfaces/msg/SetParametersResult")
        for parameter in parameters:
            if parameter.name == "use_sim_time":
                if not isinstance(parameter.value, bool):
                    return result(successful=False, reason="use_sim_time must be true or false")
                self._follow(parameter.value)
        return result(successful=True)
