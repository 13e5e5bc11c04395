"""Whether ROS itself is there; its own commands do then what ours do elsewhere."""

from __future__ import annotations

import importlib.util

from avatar_forcing_ros.errors import ConfigError


def has_module(name: str) -> bool:
    """Whether a real module of that name can be imported.

    A folder of that name, such as this project's ``launch/``, is none.
    """
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def refuse_where_ros_is(command: str) -> None:
    """Raises ConfigError where ROS is sourced, whose middleware ours need not be able to hear."""
    if has_module("rclpy"):
        raise ConfigError(
            f"avatar-forcing {command}",
            expected="a shell without ROS",
            got="one in which ROS is sourced",
            remedy=f"run: ros2 {command} (the same, and more)",
        )
