"""Times, clocks, timers, and simulated time."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from avatar_forcing_ros.standalone.clock import Clock, JumpThreshold, ROSClock
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.parameter import Parameter
from avatar_forcing_ros.standalone.time import ClockType, Duration, Time

ClockMessage = message_class("rosgraph_msgs/msg/Clock")
STEADY = ClockType.STEADY_TIME


def test_times_and_durations_add_up() -> None:
    start = Time(seconds=10, nanoseconds=5)
    span = Duration(seconds=1.5)
    assert (start + span).nanoseconds == 11_500_000_005
    assert (start - span).seconds_nanoseconds() == (8, 500_000_005)
    assert (start + span) - start == span
    assert Duration(seconds=-1) < Duration() < span
    assert Time.from_msg(start.to_msg(), ClockType.SYSTEM_TIME) == start
    assert Duration.from_msg(Duration(seconds=-0.5).to_msg()) == Duration(seconds=-0.5)


def test_clocks_do_not_mix() -> None:
    with pytest.raises(TypeError, match="different clock"):
        assert Time() < Time(clock_type=STEADY)
    with pytest.raises(ValueError, match="negative"):
        Time(seconds=-1)
    with pytest.raises(OverflowError):
        Duration(seconds=1e10)
    assert isinstance(Clock(clock_type=ClockType.ROS_TIME), ROSClock)


def test_jumps_are_told() -> None:
    clock = ROSClock()
    told: list[Any] = []
    threshold = JumpThreshold(
        min_forward=Duration(seconds=1), min_backward=Duration(seconds=-1), on_clock_change=False
    )
    handle = clock.create_jump_callback(threshold, post_callback=told.append)
    clock._set_ros_time_is_active(True)
    clock.set_ros_time_override(Time(seconds=10, clock_type=ClockType.ROS_TIME))
    clock.set_ros_time_override(Time(seconds=10.5, clock_type=ClockType.ROS_TIME))
    clock.set_ros_time_override(Time(seconds=5, clock_type=ClockType.ROS_TIME))
    handle.unregister()
    clock.set_ros_time_override(Time(seconds=50, clock_type=ClockType.ROS_TIME))
    assert [jump.delta.nanoseconds for jump in told] == [10_000_000_000, -5_500_000_000]


def test_a_node_follows_the_clock_topic(ros: Any) -> None:
    here = ros("--ros-args", "-p", "use_sim_time:=true")
    node = here.node()
    publisher = node.create_publisher(ClockMessage, "/clock", 10)
    assert node.get_clock().now().nanoseconds == 0
    here.until(lambda: publisher.get_subscription_count())
    fired: list[int] = []
    node.create_timer(1.0, lambda: fired.append(node.get_clock().now().nanoseconds))
    for seconds in (0.5, 1.0, 1.5, 4.0):
        message = ClockMessage(clock=Time(seconds=seconds).to_msg())
        publisher.publish(message)
        here.until(lambda s=seconds: node.get_clock().now().nanoseconds == s * 1e9)
    here.until(lambda: len(fired) == 2)
    assert fired == [1_000_000_000, 4_000_000_000]  # periods that were missed are left out
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert node.get_clock().now().nanoseconds > 1e18
    here.until(lambda: publisher.get_subscription_count() == 0)


def test_timers_keep_their_period(ros: Any) -> None:
    here = ros()
    node = here.node()
    ticks: list[int] = []
    clock = Clock(clock_type=STEADY)
    timer = node.create_timer(0.02, lambda: ticks.append(clock.now().nanoseconds), clock=clock)
    start_ns = clock.now().nanoseconds
    here.until(lambda: len(ticks) == 10)
    assert ticks[-1] - start_ns >= 10 * 0.02e9 - 1e6
    assert not timer.is_canceled()
    timer.cancel()
    assert timer.time_until_next_call() is None
    here.executor.spin_once(0.05)
    assert len(ticks) == 10
    timer.reset()
    assert 0 < timer.time_until_next_call() <= 0.02e9
    here.until(lambda: len(ticks) == 11)
    assert node.destroy_timer(timer)


def test_a_rate_paces_another_thread(ros: Any) -> None:
    here = ros()
    rate = here.node().create_rate(50.0)
    rounds: list[int] = []

    def loop() -> None:
        for i in range(5):
            rate.sleep()
            rounds.append(i)

    thread = threading.Thread(target=loop)
    thread.start()
    here.until(lambda: len(rounds) == 5)
    thread.join(5)


def test_sleeping_ends_with_the_context(ros: Any) -> None:
    here = ros()
    clock = Clock(clock_type=STEADY)
    assert clock.sleep_for(Duration(nanoseconds=1000), here.context)
    result: list[bool] = []
    thread = threading.Thread(
        target=lambda: result.append(clock.sleep_for(Duration(seconds=60), here.context))
    )
    thread.start()
    here.context.try_shutdown()
    thread.join(5)
    assert result == [False]
