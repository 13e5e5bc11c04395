"""``avatar-forcing topic``: the graph as a person sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from programs import Program, completed, write_bag

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags.rosbag2")

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.topic_text import as_text, picked
from avatar_forcing_ros.standalone.topic_watch import Rhythm


@pytest.fixture
def image() -> Any:
    cls = message_class("sensor_msgs/msg/Image")
    return cls(height=2, width=3, encoding="mono8", step=3, data=bytes(range(6)))


def test_a_message_is_shown_as_yaml(image: Any) -> None:
    image.header.stamp.sec = 5
    assert as_text(image, shown_values=4).splitlines() == [
        "header:",
        "  stamp:",
        "    sec: 5",
        "    nanosec: 0",
        "  frame_id: ''",
        "height: 2",
        "width: 3",
        "encoding: mono8",
        "is_bigendian: 0",
        "step: 3",
        "data: [0, 1, 2, 3, ...]  # 6 values",
    ]
    assert as_text(image, None).splitlines()[-1] == "data: [0, 1, 2, 3, 4, 5]"


def test_lists_of_messages_are_shown_and_shortened() -> None:
    status = message_class("diagnostic_msgs/msg/DiagnosticStatus")
    pair = message_class("diagnostic_msgs/msg/KeyValue")
    message = status(values=[pair(key=str(k), value="yes: no") for k in range(3)])
    assert as_text(message, 2).splitlines()[-5:] == [
        "  - key: '0'",
        "    value: 'yes: no'",
        "  - key: '1'",
        "    value: 'yes: no'",
        "  # and 1 more",
    ]
    assert as_text(status()).splitlines()[-1] == "values: []"
    assert as_text(message_class("std_msgs/msg/Empty")()) == "{}"


def test_a_field_is_picked_by_its_path(image: Any) -> None:
    image.header.stamp.sec = 5
    assert picked(image, "header.stamp.sec") == 5
    assert picked(image, "data[4]") == 4
    assert as_text(picked(image, "header.stamp")) == "sec: 5\nnanosec: 0"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("header.stmp", "expected stamp, frame_id, got stmp"),
        ("height.x", "expected a single value, got x"),
        ("data[9]", r"got data\[9\]"),
        ("", "got ;"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(path: str, told: str, image: Any) -> None:
    with pytest.raises(ConfigError, match=told):
        picked(image, path)


def test_the_rhythm_of_a_window() -> None:
    rhythm = Rhythm(window=2)
    assert rhythm.text() == ""
    for now_s in (0.0, 5.0, 5.25, 5.75):
        rhythm.add(now_s)
    rate, spread = rhythm.text().splitlines()
    assert rate == "average rate: 2.667"
    assert spread.strip() == "min: 0.250s max: 0.500s std dev: 0.12500s window: 3"


def test_the_graph_is_listed_heard_and_measured(tmp_path: Path) -> None:
    cls = message_class("audio_common_msgs/msg/AudioStamped")
    message = cls()
    message.header.frame_id = "microphone"
    message.audio.audio_data.int16_data = list(range(20))
    write_bag(tmp_path / "bag", [("/speech", 10**9 + k * 10**7, message) for k in range(100)])
    with Program("bag", "play", tmp_path / "bag", "--loop", "--wait-for-subscribers", 0):
        code, said = completed("topic", "echo", "/speech", "--once", "--timeout", 20)
        assert code == 0
        assert "int16_data: [0, 1, 2, 3, 4, 5, 6, 7, ...]  # 20 values" in said
        assert said.endswith("---")
        code, said = completed("topic", "echo", "speech", "-n", 2, "--field", "header.frame_id")
        assert (code, said.splitlines()[-4:]) == (0, ["microphone", "---"] * 2)
        code, said = completed("topic", "list", "-t")
        assert code == 0
        assert "/speech [audio_common_msgs/msg/AudioStamped]" in said.splitlines()
        code, said = completed("topic", "info", "/speech", "-v")
        assert code == 0
        assert "Publisher count: 1" in said
        assert "Node name: rosbag2_player" in said
        assert "Reliability: RELIABLE" in said
        with Program("topic", "hz", "/speech", "--window", 10) as hz:
            assert float(hz.says("average rate:").split()[-1]) > 0
            hz.says("window: ")
            hz.interrupt()
            assert hz.ends() == 0


def test_nobody_there_is_told() -> None:
    code, said = completed("topic", "echo", "/silence", "--timeout", 0.3)
    assert (code, "got nobody in time" in said) == (1, True)
    code, said = completed("topic", "info", "/silence", "--spin-time", 0.1)
    assert (code, "got none of that name" in said) == (1, True)
