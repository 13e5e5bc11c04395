"""What to do about a Python package that is not there."""

from __future__ import annotations

import sys

from avatar_forcing_ros.errors import MissingDependencyError

PACKAGE = __name__.partition(".")[0]
EXTRA_OF = {
    "mediapipe": "mediapipe",
    "rosbags": "ros",
    "sounddevice": "display",
    "aiohttp": "web",
    "aiortc": "web",
    "aioice": "web",
    "transformers": "paper",
    "huggingface_hub": "paper",
    "espeakng_loader": "train",
    "matplotlib": "train",
    "PIL": "train",
    "lightning_fabric": "train",
    "tensorboard": "train",
}
GET_ROS = (
    "source a ROS 2 distribution with this package's workspace (docs.ros.org says how to install "
    "one), or, on x86-64 with Python 3.10 to 3.12, run: pip install 'avatar_forcing_ros[ros]' and "
    "then scripts/ros_messages"
)


def missing_package(error: ImportError) -> MissingDependencyError | None:
    """What was missing and how it is had; None for a fault of this package, which wants its trace.

    ROS's packages come together; every other one belongs to an extra of this package.
    """
    name = error.name or ""
    package = name.partition(".")[0]
    if not package or (package == PACKAGE and name != f"{PACKAGE}.msg"):
        return None
    if package in ("rclpy", PACKAGE) or package.endswith("_msgs"):
        return MissingDependencyError(
            "ROS 2", expected=f"{name} for {sys.executable}", got="none", remedy=GET_ROS
        )
    return MissingDependencyError(
        f"Python package '{name}'",
        expected="it to be installed",
        got=f"no module of that name for {sys.executable}",
        remedy=f"run: pip install 'avatar_forcing_ros[{EXTRA_OF.get(package, 'all')}]'",
    )
