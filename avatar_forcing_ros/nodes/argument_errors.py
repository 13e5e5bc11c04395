"""What rclpy says of arguments that it cannot read, in words of use to whoever gave them."""

from __future__ import annotations

import re

from avatar_forcing_ros.errors import ConfigError

_REFUSED = re.compile(r"Couldn't parse ([\w ]+): '(?:--?[\w-]+ )?(.*?)'\. Error: (.*?)(, at /|$)")
_NAME = "letters, digits and underscores, and no digit in front"
_EXPECTED = (
    ("__ns:=", f"a namespace: parts behind '/', each of {_NAME}"),
    ("__node:=", f"a name of {_NAME}"),
    ("__name:=", f"a name of {_NAME}"),
    ("", "'old_name:=new_name'"),
)


def argument_error(error: Exception) -> ConfigError | None:
    """A sentence for `error`, where rclpy raised it because of an argument; else None."""
    refused = _REFUSED.search(" ".join(str(error).split()))
    if not refused:
        return None
    kind, given, reason = refused[1], refused[2], refused[3]
    if kind == "remap rule":
        expected = next(text for key, text in _EXPECTED if key in given)
    elif kind == "parameter override rule":
        expected = "'name:=value', the value in YAML"
    elif kind == "log level":
        expected = "debug, info, warn, error or fatal"
    else:
        expected = f"what ROS can read ({reason})"
    return ConfigError(
        kind.replace("rule", "argument"),
        expected=expected,
        got=f"'{given}'",
        remedy="correct it, behind --ros-args or in the launch file",
    )
