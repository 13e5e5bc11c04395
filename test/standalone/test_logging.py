"""What is logged, what is left out, and who hears of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone.clock import ROSClock
from avatar_forcing_ros.standalone.logging import (
    LoggingSeverity,
    clear_config,
    get_logger,
    get_logger_effective_level,
    set_logger_level,
)
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.time import ClockType, Time


@pytest.fixture(autouse=True)
def plain_levels() -> Any:
    clear_config()
    yield
    clear_config()


def test_format_and_levels(capfd: pytest.CaptureFixture[str]) -> None:
    logger = get_logger("a.b")
    assert logger.info("hello")
    assert not logger.debug("hidden")
    set_logger_level("a", LoggingSeverity.DEBUG)
    assert logger.get_child("c").debug("child")
    logger.set_level(LoggingSeverity.ERROR)
    assert not logger.warning("hidden")
    assert logger.fatal("end")
    assert get_logger_effective_level("a.x") == LoggingSeverity.DEBUG
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"\[INFO\] \[\d+\.\d{9}\] \[a\.b\]: hello", lines[0])
    assert [line.rsplit("]: ")[1] for line in lines] == ["hello", "child", "end"]


def test_once_skip_and_throttle() -> None:
    logger = get_logger("often")
    assert [logger.info("x", once=True) for _ in range(3)] == [True, False, False]
    assert [logger.info("x", skip_first=True) for _ in range(3)] == [False, True, True]
    clock = ROSClock()
    clock._set_ros_time_is_active(True)
    said = []
    for second in range(5):
        clock.set_ros_time_override(Time(seconds=second, clock_type=ClockType.ROS_TIME))
        said.append(logger.info("x", throttle_duration_sec=2.0, throttle_time_source_type=clock))
    assert said == [True, False, True, False, True]


def test_levels_on_the_command_line(ros: Any) -> None:
    ros("--ros-args", "--log-level", "warn", "--log-level", "loud:=debug")
    assert get_logger_effective_level("any") == LoggingSeverity.WARN
    assert get_logger_effective_level("loud") == LoggingSeverity.DEBUG
    with pytest.raises(ConfigError, match="shrill"):
        ros("--ros-args", "--log-level", "shrill")


def test_everyone_hears_on_rosout(ros: Any) -> None:
    here = ros()
    node = here.node("speaker", namespace="/room")
    log = message_class("rcl_interfaces/msg/Log")
    heard: list[Any] = []
    node.create_subscription(log, "/rosout", heard.append, 10)
    here.until(lambda: node.count_subscribers("/rosout"))
    node.get_logger().get_child("part").warning("careful")
    here.until(lambda: heard)
    assert (heard[0].name, heard[0].msg) == ("room.speaker.part", "careful")
    assert heard[0].level == LoggingSeverity.WARN
    assert heard[0].file == __file__
    assert heard[0].function == "test_everyone_hears_on_rosout"
