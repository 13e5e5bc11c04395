"""The one door, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support import ROOT

from avatar_forcing_ros.standalone.facade import MODULES

START = "from avatar_forcing_ros.standalone import install, uninstall\n"


def python(code: str, *paths: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*paths, str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", START + code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ros_modules_come_and_go() -> None:
    python(
        """
assert install(force=True) and install(force=True)
import sys, rclpy
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger
from audio_common_msgs.msg import AudioStamped, AudioDataStamped
from avatar_forcing_ros.msg import AvatarMotion, AvatarState
from tf2_ros import TransformBroadcaster
assert rclpy.lifecycle.Node is rclpy.lifecycle.LifecycleNode
assert AudioStamped().audio.audio_data.int16_data.typecode == "h"
assert AudioDataStamped().audio.data.typecode == "B"
assert Trigger.Request.__name__ == "Trigger_Request" and String.__module__ == "std_msgs.msg"
uninstall()
assert "rclpy" not in sys.modules and "std_msgs.msg" not in sys.modules
"""
    )


def test_every_name_that_is_promised_is_there() -> None:
    names = ", ".join(MODULES)
    python(f"install(force=True)\nimport {names}\n")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import rclpy.action", "rclpy.action"),
        ("from rclpy.qos import qos_check_compatible", "rclpy.qos.qos_check_compatible"),
        ("from tf2_ros import Buffer", "tf2_ros.Buffer"),
        ("from sensor_msgs.msg import Nothing", "sensor_msgs/msg/Nothing"),
    ],
)
def test_what_is_missing_is_named_and_can_be_caught(statement: str, name: str) -> None:
    for error in ("NotImplementedError", "ImportError"):
        told = python(
            f"install(force=True)\ntry:\n    {statement}\nexcept {error} as e:\n    print(e)\n"
        )
        assert name in told


def test_a_real_rclpy_is_left_alone(tmp_path: object) -> None:
    package = f"{tmp_path}/rclpy"
    os.mkdir(package)
    with open(f"{package}/__init__.py", "w") as file:
        file.write("REAL = True")
    told = python("print(install())\nimport rclpy\nprint(rclpy.REAL)", str(tmp_path))
    assert told.split() == ["False", "True"]
