"""``avatar-forcing launch`` and ``node``: what ``ros2 launch`` and ``ros2 run`` do."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.terminal import stop_event
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.launch_arguments import ARGUMENTS
from avatar_forcing_ros.launch_plan import PACKAGE, PlannedNode, planned_nodes
from avatar_forcing_ros.nodes.executable import run_executable
from avatar_forcing_ros.process_group import ProcessGroup

NAMES = ("avatar", "demo", "replay", "rviz")
WORKSPACE = "a sourced ROS workspace with this package"
POLL_S = 0.1
NODES = Path(__file__).parents[1] / "nodes"
COMPOSED = {"telepresence_node": "cli.telepresence"}  # of parts that do not import each other


def add_launch(commands: Any) -> None:
    """Add ``launch``, which starts the avatar and what goes with it, to `commands`."""
    launch = commands.add_parser(
        "launch",
        help="start the avatar and what belongs to it",
        description="Does what 'ros2 launch' does with this package's launch files, and by it "
        "where this package is built into a ROS workspace that is sourced. Otherwise the nodes of "
        "'avatar' are processes of this command, and end with it.",
    )
    launch.add_argument("name", choices=NAMES, help="which of the launch files")
    launch.add_argument("arguments", nargs="*", metavar="NAME:=VALUE", help="its arguments")
    launch.add_argument(
        "-s", "--show-args", action="store_true", help="show the arguments and do nothing else"
    )
    launch.set_defaults(run=_run_launch)


def _run_launch(options: argparse.Namespace) -> int:
    """Run it until it ends or Ctrl-C."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    is_built = any(Path(prefix, "lib", PACKAGE, "avatar_node").exists() for prefix in prefixes)
    if is_built and shutil.which("ros2"):
        words = ["ros2", "launch", PACKAGE, f"{options.name}.launch.py", *options.arguments]
        sys.stdout.flush()
        os.execvp("ros2", words + ["--show-args"] * options.show_args)
    if options.name != "avatar":
        raise ConfigError(f"launch {options.name}", expected=WORKSPACE, got="none",
                          remedy="'avatar-forcing demo', 'bag play' and 'launch avatar' need none",
                          )  # fmt: skip
    if options.show_args:
        for argument in ARGUMENTS:
            choices = f"; one of {', '.join(map(repr, argument.choices))}" * bool(argument.choices)
            print(f"{argument.name}  (default: {argument.default!r}{choices})")
            print(textwrap.indent(textwrap.fill(argument.description, 92), " " * 4))
        return 0
    pairs = [word.partition(":=") for word in options.arguments]
    for name, separator, _ in pairs:
        if not separator:
            raise ConfigError("launch argument", expected="name:=value", got=name,
                              remedy="write it like this")  # fmt: skip
    return _run_nodes(planned_nodes({name: value for name, _, value in pairs}))


def command(node: PlannedNode) -> list[str]:
    """How `node` is started without ROS's launch; raises ConfigError for another package's."""
    if node.package != PACKAGE:
        raise ConfigError(f"{node.name} of the ROS package '{node.package}'", expected=WORKSPACE,
                          got="none", remedy="leave it out, or start it where ROS is",
                          )  # fmt: skip
    if importlib.util.find_spec("rclpy") is None:
        raise ModuleNotFoundError(name="rclpy")
    words = [sys.executable, "-m", f"{PACKAGE}.cli", "node", node.executable, "--", "--ros-args"]
    words += ["-r", f"__node:={node.name}"]
    if node.namespace:
        words += ["-r", f"__ns:=/{node.namespace.strip('/')}"]
    words += [word for pair in node.remappings for word in ("-r", f"{pair[0]}:={pair[1]}")]
    words += ["--params-file", node.params_file] if node.params_file else []
    for name, value in node.parameters.items():
        # JSON is YAML, and text stays text
        words += ["-p", f"{name}:={json.dumps(value, ensure_ascii=False)}"]
    return [*words, "--log-level", node.log_level]


def _run_nodes(nodes: list[PlannedNode]) -> int:
    """Run them until Ctrl-C or the avatar's end; its exit code, if it ended by itself."""
    commands = {node.name: command(node) for node in nodes}
    avatar = next(node.name for node in nodes if node.is_avatar)
    with stop_event() as stop, ProcessGroup(_report) as group:
        for name, words in commands.items():
            group.start(name, words)
        while not stop.wait(POLL_S):
            for name, code in group.ended().items():
                _report(f"[{name}] ended with exit code {code}")
                if name == avatar:
                    return code if code >= 0 else 128 - code
    return 0


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")  # at once, since each node's output comes by a thread of its own
    sys.stdout.flush()


def add_node(commands: Any) -> None:
    """Add ``node``, which runs one node as ``ros2 run`` does, to `commands`."""
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
    node.set_defaults(run=_run_node)


def node_names() -> list[str]:
    """The nodes of this package."""
    return sorted(path.stem for path in NODES.glob("*_node.py"))


def _run_node(options: argparse.Namespace) -> int:
    """Run it until a signal or ROS ends it."""
    if options.name not in node_names():
        raise ConfigError(
            "node",
            expected=f"one of {', '.join(node_names())}",
            got=options.name,
            remedy="name one of these",
        )
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    return run_executable(options.name, arguments, COMPOSED.get(options.name, ""))
