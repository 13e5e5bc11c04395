"""Mistakes in a program's ROS arguments, as sentences for the user.

ROS drops parameters that the node does not declare without a warning, and so it does with YAML
files for a node of another name or namespace.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rclpy.node import Node

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.node_config import NODE_CONFIGS
from avatar_forcing_ros.settings import settings_of
from avatar_forcing_ros.strict import nearest

# one file may serve all nodes (its key is /**), so what one of them knows is no mistake
_SETTINGS = [each for config in NODE_CONFIGS.values() for each in settings_of(config)]
KNOWN = {each.name for each in _SETTINGS} | {each.formerly for each in _SETTINGS} - {""}
# declared when a topic is first used
LATER = "qos_overrides."

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


def warn_of_unknown(
    node: Node, args: Sequence[str] | None = None, names: Sequence[str] = ()
) -> None:
    """Log in one warning which parameters of the start `node` does not get, and what is near.

    `node` has declared its own; `args` are the program's by default, and `names` the full names of
    all nodes of the process, any of which a file may be for.
    """
    given = getattr(node, "_parameter_overrides", {})  # rclpy has no other way to ask for them
    sentences = [
        f"there is no parameter '{name}'{nearest(KNOWN, name)}"
        for name in given
        # ROS itself has some in every node
        if not (name in KNOWN or node.has_parameter(name) or name.startswith(LATER))
    ]
    own_name = node.get_fully_qualified_name()
    names = names or [own_name]
    for file in params_files(sys.argv[1:] if args is None else args):
        patterns = list(node_patterns(file))
        if patterns and not any(matches(p, name) for p in patterns for name in names):
            others = ", ".join(f"'{pattern}'" for pattern in patterns)
            sentences.append(
                f"{file} is for {others} and not for this node: write '{own_name}' there, or '/**'"
            )
    if sentences:
        node.get_logger().warning("; ".join(sentences))


def params_files(args: Sequence[str]) -> Iterator[Path]:
    """The files of parameters that are named among a program's `args`."""
    for flag, value in itertools.pairwise(args):
        if flag == "--params-file":
            yield Path(value)


def node_patterns(file: Path) -> Iterator[str]:
    """The nodes that a file of parameters has values for, with the wildcards of ROS.

    None where it cannot be read: ROS itself says so.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return
    yield from _sections(content, "")


def _sections(content: Any, above: str) -> Iterator[str]:
    """Namespaces may be written as one key or as nested ones."""
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        if key == "ros__parameters":
            yield above
        else:
            yield from _sections(value, f"{above}/{str(key).strip('/')}")


def matches(pattern: str, name: str) -> bool:
    """Whether the node `name`, with its namespace, is meant by `pattern`."""
    parts = [
        r"(/\w+)*" if part == "**" else "/" + (r"\w+" if part == "*" else re.escape(part))
        for part in pattern.split("/")[1:]
    ]
    return re.fullmatch("".join(parts), name) is not None
