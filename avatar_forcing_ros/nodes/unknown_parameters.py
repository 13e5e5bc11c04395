"""Parameters that were given at the start and reach nobody: ROS drops them without a word.

Either no node of this package has one of that name, or the YAML file that holds them is for a node
of another name or namespace.
"""

from __future__ import annotations

import difflib
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rclpy.node import Node

from avatar_forcing_ros.nodes.display_settings import DESCRIPTIONS
from avatar_forcing_ros.nodes.interface import (
    PARAMETERS,
    PERCEPTION_PARAMETERS,
    TELEPRESENCE_PARAMETERS,
)

# one file may serve all nodes (its key is /**), so what one of them knows is no mistake
_TABLES = (PARAMETERS, PERCEPTION_PARAMETERS, TELEPRESENCE_PARAMETERS)
KNOWN = {parameter.name for table in _TABLES for parameter in table} | set(DESCRIPTIONS)
# declared when a topic is first used
LATER = "qos_overrides."


def warn_of_unknown(node: Node, args: Sequence[str] | None = None) -> None:
    """Say in one warning which parameters of the start `node` does not get, and what is near.

    `node` has declared its own; `args` are the program's by default.
    """
    given = getattr(node, "_parameter_overrides", {})  # rclpy has no other way to ask for them
    unknown = [name for name in given if name not in KNOWN and not _is_ros_own(node, name)]
    sentences = [f"there is no parameter {_with_nearest(name, KNOWN)}" for name in unknown]
    own_name = node.get_fully_qualified_name()
    for file in params_files(sys.argv[1:] if args is None else args):
        patterns = list(node_patterns(file))
        if patterns and not any(matches(pattern, own_name) for pattern in patterns):
            others = ", ".join(f"'{pattern}'" for pattern in patterns)
            sentences.append(
                f"{file} is for {others} and not for this node: write '{own_name}' there, or '/**'"
            )
    if sentences:
        node.get_logger().warning("; ".join(sentences))


def _is_ros_own(node: Node, name: str) -> bool:
    """Whether ROS itself has such a parameter in `node`, or will have it."""
    return bool(node.has_parameter(name)) or name.startswith(LATER)


def _with_nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    return f"'{name}'" + (f" (nearest: '{nearest[0]}')" if nearest else "")


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
