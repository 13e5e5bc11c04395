"""``avatar-forcing node``: runs one node, as ``ros2 run`` does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.executable import run_executable

NODES = Path(__file__).parents[1] / "nodes"
COMPOSED = {"telepresence_node": "cli.telepresence"}  # of parts that do not import each other


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    node = commands.add_parser(
        "node",
        help="run a node, as 'ros2 run' does",
        description=f"Runs a node as 'ros2 run' does. Nodes: {', '.join(node_names())}.",
    )
    node.add_argument("name", help="the node's name")
    node.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="--ros-args …",
        help="parameters (-p name:=value), remappings (-r a:=b), --params-file, --log-level",
    )
    node.set_defaults(run=run)


def node_names() -> list[str]:
    """The nodes of this package."""
    return sorted(path.stem for path in NODES.glob("*_node.py"))


def run(options: argparse.Namespace) -> int:
    """Run it until it is told to end."""
    if options.name not in node_names():
        raise ConfigError(
            "node",
            expected=f"one of {', '.join(node_names())}",
            got=options.name,
            remedy="name one of these",
        )
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    return run_executable(options.name, arguments, COMPOSED.get(options.name, ""))
