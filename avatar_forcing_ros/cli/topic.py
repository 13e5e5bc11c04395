"""``avatar-forcing topic``: looks at the graph."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from avatar_forcing_ros.cli.stopping import stop_event


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    topic = commands.add_parser(
        "topic",
        help="list, show and measure topics",
        description="What 'ros2 topic' does, for machines that have rclpy and no ros2.",
    )
    steps = topic.add_subparsers(title="steps", metavar="STEP", required=True)
    names = steps.add_parser("list", help="names of the topics")
    names.add_argument("-t", "--show-types", action="store_true", help="their types too")
    names.set_defaults(run=_list)
    echo = steps.add_parser("echo", help="show what is published; long arrays are shortened")
    echo.add_argument("--once", dest="count", action="store_const", const=1, help="one message")
    echo.add_argument("-n", "--count", type=_count, metavar="N", help="N messages, then end")
    echo.add_argument("-f", "--full-length", action="store_true", help="show arrays in full")
    echo.set_defaults(run=_echo)
    hz = steps.add_parser("hz", help="how often a topic is published")
    hz.set_defaults(run=_hz)
    names.add_argument(
        "--spin-time", type=float, default=1.0, metavar="S", help="listen so long (default: 1)"
    )
    for step in (echo, hz):
        step.add_argument("topic")
        step.add_argument(
            "--timeout", type=float, metavar="S", help="for the first message (default: wait)"
        )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return value


def _list(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.graph_tools import list_topics

    with stop_event() as stop:
        for name, types in list_topics(options.spin_time, stop):
            print(f"{name} [{', '.join(types)}]" if options.show_types else name)


def _echo(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.graph_tools import SHOWN_VALUES, echo, received

    shown = None if options.full_length else SHOWN_VALUES
    with stop_event() as stop, closing(received(options.topic, stop, options.timeout)) as messages:
        for text in echo(messages, options.count, shown):
            print(text, flush=True)


def _hz(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.graph_tools import rates, received

    with stop_event() as stop, closing(received(options.topic, stop, options.timeout)) as messages:
        for text in rates(messages):
            print(text, flush=True)
