"""``avatar-forcing launch``: runs a launch file, with ROS or without."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from avatar_forcing_ros.cli.stopping import stop_event


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    launch = commands.add_parser(
        "launch",
        help="run a launch file, with ROS or without",
        description="Runs a launch file as 'ros2 launch' does, and by it where ROS is sourced. "
        "Otherwise each node is a process of this package, on the same graph.",
    )
    launch.add_argument("file", help="a launch file, or the name of one of this package's")
    launch.add_argument("arguments", nargs="*", metavar="NAME:=VALUE", help="its arguments")
    launch.add_argument(
        "-s", "--show-args", action="store_true", help="show the arguments and do nothing else"
    )
    launch.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run it until it ends or Ctrl-C."""
    from avatar_forcing_ros.standalone import launch_file
    from avatar_forcing_ros.standalone.launch_modules import has_real_launch

    path = launch_file.find(options.file)
    if has_real_launch():
        flags = ["--show-args"] if options.show_args else []
        sys.stdout.flush()
        os.execvp("ros2", ["ros2", "launch", *flags, str(path), *options.arguments])
    if options.show_args:
        print(launch_file.arguments_text(path))
        return 0
    with stop_event() as stop:
        arguments = launch_file.parse_arguments(options.arguments)
        return launch_file.launch(path, arguments, stop)
