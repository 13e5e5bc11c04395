"""``avatar-forcing node``: runs one of the ROS nodes."""

from __future__ import annotations

import argparse
import importlib
import signal
from pathlib import Path
from typing import Any

from avatar_forcing_ros.errors import ConfigError

PACKAGE = __name__.partition(".")[0]
NODES = Path(__file__).parents[1] / "nodes"


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    node = commands.add_parser(
        "node",
        help="run one of the ROS nodes",
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
    # a node ends by itself when it is told to, and says so by its exit code
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    module = importlib.import_module(f"{PACKAGE}.nodes.{options.name}")
    return int(module.main(arguments) or 0)
