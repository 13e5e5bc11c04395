"""Protects the default middleware: images get through as it comes, a user's choice stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import rclpy
from graph import spinning
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from avatar_forcing_ros.nodes.middleware import (
    NEWER,
    OLDER,
    OTHER_CHOICES,
    PROFILES,
    middleware_environment,
    middleware_warning,
)

IMAGES, PATIENCE_S = 50, 60.0
# a camera of 921 KB an image, as any node of this package would publish it
CAMERA = f"""
import array, time
from avatar_forcing_ros.nodes.middleware import prepare_middleware
prepare_middleware()
import rclpy
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("camera")
profile = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
publisher = node.create_publisher(Image, "image", profile)
while not publisher.get_subscription_count():
    time.sleep(0.01)
time.sleep(0.5)  # until the other side knows, too
data = array.array("B", bytes(640 * 480 * 3))
for _ in range({IMAGES}):
    publisher.publish(Image(width=640, height=480, step=1920, encoding="rgb8", data=data))
    time.sleep(0.04)
"""


def test_the_profile_is_what_is_added() -> None:
    ((name, path),) = middleware_environment({}).items()
    assert name in PROFILES
    assert ElementTree.parse(path).getroot().tag.endswith("dds")
    assert Path(path).name == "fastdds.xml"


def test_where_ros_is_to_stay_on_this_machine_no_network_is_added() -> None:
    """Humble adds a transport that is bound to localhost to those of the profile."""

    def kinds(environment: dict[str, str]) -> set[str | None]:
        (path,) = set(middleware_environment(environment).values())
        return {tag.text for tag in ElementTree.parse(path).iter() if tag.tag.endswith("}type")}

    assert kinds({"ROS_LOCALHOST_ONLY": "0"}) == {"SHM", "UDPv4"}
    assert kinds({"ROS_LOCALHOST_ONLY": "1"}) == {"SHM"}


@pytest.mark.parametrize(
    ("version", "name"), [("3.3.15", OLDER), ("7.1.6", OLDER), ("9.1.2", NEWER), ("10.0.0", NEWER)]
)
def test_each_distribution_is_given_its_own_setting(
    monkeypatch: pytest.MonkeyPatch, version: str, name: str
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    assert set(middleware_environment({})) == {name}


@pytest.mark.parametrize("name", [*PROFILES, *OTHER_CHOICES])
def test_what_a_user_chose_stays(name: str) -> None:
    assert middleware_environment({name: "something"}) == {}
    assert middleware_environment({name: ""}) != {}


def test_another_middleware_is_left_alone() -> None:
    assert middleware_environment({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}) == {}
    assert middleware_environment({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}) != {}


def test_large_images_get_through_with_best_effort() -> None:
    rclpy.init(args=[])
    node, came, got = Node("viewer"), threading.Condition(), []

    def take(msg: Any) -> None:
        with came:
            got.append(len(msg.data))
            came.notify()

    profile = QoSProfile(depth=IMAGES, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, "image", take, profile)
    chosen = (*PROFILES, *OTHER_CHOICES)
    plain = {name: value for name, value in os.environ.items() if name not in chosen}
    with spinning(node):
        subprocess.run([sys.executable, "-c", CAMERA], check=True, timeout=PATIENCE_S, env=plain)
        with came:
            assert came.wait_for(lambda: len(got) >= IMAGES - 2, PATIENCE_S), len(got)


def test_a_kernel_that_gives_cyclone_too_little_is_reported(tmp_path: Path) -> None:
    rmem_max = tmp_path / "rmem_max"
    rmem_max.write_text("212992\n")
    sentence = middleware_warning("rmw_cyclonedds_cpp", rmem_max)
    assert "got 212992; run: sudo sysctl" in sentence
    assert middleware_warning("rmw_fastrtps_cpp", rmem_max) == ""
    assert middleware_warning("rmw_cyclonedds_cpp", tmp_path / "absent") == ""
    rmem_max.write_text("4194304\n")
    assert middleware_warning("rmw_cyclonedds_cpp", rmem_max) == ""
