"""``avatar-forcing topic``: looks at the graph."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

from avatar_forcing_ros.cli.stopping import stop_event

LISTEN_S = 1.0


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
    names.add_argument("--include-hidden-topics", action="store_true")
    _add_listening(names)
    names.set_defaults(run=_list)
    info = steps.add_parser("info", help="type and ends of a topic")
    info.add_argument("topic")
    info.add_argument("-v", "--verbose", action="store_true", help="nodes and QoS of each end")
    _add_listening(info)
    info.set_defaults(run=_info)
    _add_echo(steps)
    hz = steps.add_parser("hz", help="how often a topic is published")
    hz.add_argument("topic")
    hz.add_argument(
        "--window", type=_count, default=10_000, metavar="N", help="messages (default: 10000)"
    )
    _add_timeout(hz)
    hz.set_defaults(run=_hz)


def _add_echo(steps: Any) -> None:
    echo = steps.add_parser("echo", help="show what is published; long arrays are shortened")
    echo.add_argument("topic")
    echo.add_argument("--field", default="", metavar="F", help="a part, such as header.stamp")
    echo.add_argument("--once", action="store_true", help="one message, then end")
    echo.add_argument("-n", "--count", type=_count, metavar="N", help="N messages, then end")
    echo.add_argument("-f", "--full-length", action="store_true", help="show arrays in full")
    _add_timeout(echo)
    echo.set_defaults(run=_echo)


def _add_listening(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spin-time",
        type=float,
        default=LISTEN_S,
        metavar="S",
        help=f"how long to listen for others (default: {LISTEN_S:g})",
    )


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="give up where nothing is said for so long (default: wait)",
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return value


def _report(line: str) -> None:
    print(line, flush=True)


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _list(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.topic_tools import list_topics

    with stop_event() as stop:
        for line in list_topics(
            options.spin_time,
            stop,
            types=options.show_types,
            hidden=options.include_hidden_topics,
        ):
            _report(line)


def _info(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.topic_tools import describe_topic

    with stop_event() as stop:
        _report(describe_topic(options.topic, options.spin_time, stop, verbose=options.verbose))


def _echo(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.topic_tools import SHOWN_VALUES, echo, received

    with (
        stop_event() as stop,
        closing(received(options.topic, stop, options.timeout, _note)) as messages,
    ):
        echo(
            messages,
            _report,
            field=options.field,
            count=1 if options.once else options.count,
            shown_values=None if options.full_length else SHOWN_VALUES,
        )


def _hz(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.topic_tools import received, show_rate

    with (
        stop_event() as stop,
        closing(received(options.topic, stop, options.timeout, _note)) as messages,
    ):
        show_rate(messages, options.window, _report)
