"""``avatar-forcing launch``: starts the avatar and what goes with it."""

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

from avatar_forcing_ros.cli.stopping import stop_event
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.launch_plan import ARGUMENTS, PACKAGE, PlannedNode, planned_nodes
from avatar_forcing_ros.process_group import ProcessGroup

NAMES = ("avatar", "demo", "replay", "rviz")
POLL_S = 0.1


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
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
    launch.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run it until it ends or Ctrl-C."""
    if _has_ros_launch():
        flags = ["--show-args"] if options.show_args else []
        words = ["ros2", "launch", *flags, PACKAGE, f"{options.name}.launch.py"]
        sys.stdout.flush()
        os.execvp("ros2", [*words, *options.arguments])
    if options.name != "avatar":
        raise ConfigError(
            f"launch {options.name}",
            expected="a sourced ROS workspace with this package",
            got="none",
            remedy="'avatar-forcing demo', 'bag play' and 'launch avatar' need none",
        )
    if options.show_args:
        print("\n".join(_description(argument) for argument in ARGUMENTS))
        return 0
    return _run_nodes(planned_nodes(_pairs(options.arguments)))


def _has_ros_launch() -> bool:
    """Whether `ros2 launch` would find this package's executables."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    built = any(Path(prefix, "lib", PACKAGE, "avatar_node").exists() for prefix in prefixes)
    return built and shutil.which("ros2") is not None


def _description(argument: Any) -> str:
    default = f"default: {argument.default!r}"
    choices = f"; one of {', '.join(map(repr, argument.choices))}" if argument.choices else ""
    text = textwrap.indent(textwrap.fill(argument.description, 92), " " * 4)
    return f"{argument.name}  ({default}{choices})\n{text}"


def _pairs(words: list[str]) -> dict[str, str]:
    for word in words:
        if ":=" not in word:
            raise ConfigError(
                "launch argument", expected="name:=value", got=word, remedy="write it like this"
            )
    return {name: value for name, _, value in (word.partition(":=") for word in words)}


def command(node: PlannedNode) -> list[str]:
    """How `node` is started without ROS's launch; raises ConfigError for another package's."""
    if node.package != PACKAGE:
        raise ConfigError(
            f"{node.name} of the ROS package '{node.package}'",
            expected="a sourced ROS workspace with both packages",
            got="none",
            remedy="leave it out, or start it where ROS is",
        )
    if importlib.util.find_spec("rclpy") is None:
        raise ModuleNotFoundError(name="rclpy")
    words = [sys.executable, "-m", f"{PACKAGE}.cli", "node", node.executable, "--", "--ros-args"]
    words += ["-r", f"__node:={node.name}"]
    if node.namespace:
        words += ["-r", f"__ns:=/{node.namespace.strip('/')}"]
    words += [word for pair in node.remappings for word in ("-r", f"{pair[0]}:={pair[1]}")]
    words += ["--params-file", node.params_file] if node.params_file else []
    for name, value in node.parameters.items():
        words += [
            "-p",
            f"{name}:={json.dumps(value, ensure_ascii=False)}",
        ]  # JSON is YAML, and text stays text
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
    print(line, flush=True)
