"""Against a real ROS 2 with rmw_cyclonedds, where there is one: both directions."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pictures import FRAMES, view
from samples import random_message
from support import PATIENCE_S, real_environment

from avatar_forcing_ros.standalone.messages import (
    deserialize_message,
    message_class,
    serialize_message,
    service_class,
)
from avatar_forcing_ros.standalone.qos import DurabilityPolicy, QoSProfile

ENVIRONMENT = real_environment()
pytestmark = pytest.mark.skipif(ENVIRONMENT is None, reason="no ROS 2 for this Python here")
TYPES = [
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/JointState",
    "diagnostic_msgs/msg/DiagnosticArray",
    "visualization_msgs/msg/MarkerArray",
    "rcl_interfaces/msg/ParameterEvent",
    "rmw_dds_common/msg/ParticipantEntitiesInfo",
    "tf2_msgs/msg/TFMessage",
    "std_msgs/msg/Empty",
    "std_msgs/msg/Byte",
]
Image = message_class("sensor_msgs/msg/Image")
String = message_class("std_msgs/msg/String")
Trigger = service_class("std_srvs/srv/Trigger")


def ros2(*words: str) -> str:
    """What a ros2 command prints; it has no daemon, and little time."""
    done = subprocess.run(
        ["ros2", *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "hash" not in done.stderr, done.stderr
    return done.stdout


ALONE = ("--no-daemon", "--spin-time", "1")


def test_bytes_are_those_of_ros() -> None:
    chance = random.Random(0)
    sent = [(name, random_message(name, chance)) for name in TYPES for _ in range(20)]
    lines = [f"{name} {serialize_message(message).hex()}" for name, message in sent]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "rewrite.py")],
        input="\n".join(lines),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for (name, message), answer in zip(sent, done.stdout.split(), strict=True):
        again = deserialize_message(bytes.fromhex(answer), message_class(name))
        assert again == message, name


def test_topics_and_nodes_are_listed(peer: Any) -> None:
    peer("server", "--ros-args", "-r", "__ns:=/room").stdout.readline()
    assert "/room/peer" in ros2("node", "list", *ALONE)
    assert "/room/echo [std_msgs/msg/String]" in ros2("topic", "list", "-t", *ALONE)
    told = ros2("node", "info", "/room/peer", *ALONE)
    assert "/room/say: std_msgs/msg/String" in told
    assert "/room/peer/where: std_srvs/srv/Trigger" in told
    told = ros2("topic", "info", "-v", "/room/echo", *ALONE)
    assert "Node name: peer" in told
    assert "RIHS01_df668c" in told


def test_parameters_and_services_answer(peer: Any) -> None:
    peer("server").stdout.readline()
    assert "2.5" not in ros2("param", "get", "/peer", "gain", *ALONE)
    assert "successful" in ros2("param", "set", "/peer", "gain", "2.5", *ALONE)
    assert "2.5" in ros2("param", "get", "/peer", "gain", *ALONE)
    assert "names" in ros2("param", "list", "/peer", *ALONE)
    assert "message='/peer'" in ros2("service", "call", "/peer/where", "std_srvs/srv/Trigger")


def test_a_managed_node_is_managed(peer: Any) -> None:
    peer("managed").stdout.readline()
    assert "/peer" in ros2("lifecycle", "nodes", *ALONE)
    assert "successful" in ros2("lifecycle", "set", "/peer", "configure", *ALONE)
    assert "inactive [2]" in ros2("lifecycle", "get", "/peer", *ALONE)
    assert "activate [3]" in ros2("lifecycle", "list", "/peer", *ALONE)


def test_pictures_come_from_ros_whole(ros: Any, peer: Any) -> None:
    here = ros()
    seen: list[str] = []
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    view(here.node(), Image, String, kept, lambda m: seen.append(m.header.frame_id))
    other = peer("images", "--real", environment=ENVIRONMENT)
    here.until(lambda: len(seen) == FRAMES)
    assert seen == [str(i) for i in range(FRAMES)]
    other.terminate()
    assert not re.search("hash", other.communicate(timeout=PATIENCE_S)[1])


def test_pictures_go_to_ros_whole(peer: Any) -> None:
    viewer = peer("viewer", "--real", environment=ENVIRONMENT)
    assert viewer.stdout.readline() == "ready\n"
    peer("images")
    assert [viewer.stdout.readline() for _ in range(FRAMES)] == [f"{i}\n" for i in range(FRAMES)]
    viewer.terminate()
    assert not re.search("hash", viewer.communicate(timeout=PATIENCE_S)[1])


def test_services_of_ros_are_called(ros: Any, peer: Any) -> None:
    here = ros()
    client = here.node().create_client(Trigger, "/peer/where")
    peer("server", "--real", environment=ENVIRONMENT)
    assert client.wait_for_service(PATIENCE_S)
    for _ in range(3):
        future = client.call_async(Trigger.Request())
        here.until(future.done)
        assert future.result().message == "/peer"
