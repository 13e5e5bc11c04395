"""Protects ``avatar-forcing topic``: topics, messages and rates as text."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from graph import publishing
from programs import command, completed, wait_until
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Empty

from avatar_forcing_ros.nodes.graph_tools import as_text, rate_text

LIST = ("topic", "list", "-t")


@pytest.fixture
def image() -> Any:
    message = Image(height=2, width=3, encoding="mono8", step=3, data=bytes(range(6)))
    message.header.stamp.sec = 5
    return message


def test_a_message_is_shown_as_yaml(image: Any) -> None:
    assert as_text(image, 4).splitlines() == [
        "header:",
        "  stamp: {sec: 5, nanosec: 0}",
        "  frame_id: ''",
        "height: 2",
        "width: 3",
        "encoding: mono8",
        "is_bigendian: 0",
        "step: 3",
        "data: [0, 1, 2, 3, (2 more)]",
    ]
    assert as_text(image, None).splitlines()[-1] == "data: [0, 1, 2, 3, 4, 5]"


def test_lists_of_messages_are_shown_and_shortened() -> None:
    message = DiagnosticStatus(values=[KeyValue(key=str(k), value="yes: no") for k in range(3)])
    assert as_text(message, 2).splitlines()[-4:] == [
        "values:",
        "- {key: '0', value: 'yes: no'}",
        "- {key: '1', value: 'yes: no'}",
        "- (1 more)",
    ]
    assert as_text(Empty()) == "{}"


def test_the_rate_of_a_window() -> None:
    assert rate_text([5.0]) == "one message"
    rate, spread = rate_text([5.0, 5.25, 5.75]).splitlines()
    assert rate == "average rate: 2.667"
    assert spread.strip() == "min: 0.250s max: 0.500s std dev: 0.12500s window: 2"


def test_topics_are_listed_shown_and_measured() -> None:
    joints = JointState(name=["jaw"], position=[0.5] * 20)
    joints.header.frame_id = "neck"
    with publishing({"/joints": (joints, qos_profile_sensor_data)}):
        code, text = completed("topic", "echo", "/joints", "--once", "--timeout", 60)
        assert code == 0
        assert "velocity: []" in text
        assert f"position: [{'0.5, ' * 8}(12 more)]" in text
        assert text.endswith("---")
        code, text = completed("topic", "echo", "joints", "-n", 2, "-f")
        assert (code, text.count("0.5"), text.count("---")) == (0, 40, 2)
        # one second of listening may be too short where many work
        wait_until(lambda: "/joints [sensor_msgs/msg/JointState]" in completed(*LIST)[1])
        with command("topic", "hz", "/joints") as hz:
            assert float(hz.writes("average rate:").split()[-1]) > 0
            hz.signal(signal.SIGINT)
            assert hz.ends() == 0


def test_no_publisher_is_one_sentence() -> None:
    code, text = completed("topic", "echo", "/silence", "--timeout", 0.3)
    assert (code, "got nobody in time" in text, text.count("\n")) == (1, True, 0)
