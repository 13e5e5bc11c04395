"""``avatar-forcing bag`` and ``topic``: as ``ros2 bag`` and ``ros2 topic``, by rclpy alone."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from contextlib import closing
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.terminal import stop_event
from avatar_forcing_ros.errors import ConfigError


def add_bag(commands: Any) -> None:
    """Add ``bag``, which records, plays and describes rosbag2 bags, to `commands`."""
    bag = commands.add_parser(
        "bag",
        help="record, play and describe rosbag2 bags",
        description="What 'ros2 bag' does, for machines that have rclpy and no rosbag2: bags of "
        "the same format.",
    )
    steps = bag.add_subparsers(title="steps", metavar="STEP", required=True)
    record = steps.add_parser("record", help="record topics until Ctrl-C")
    record.add_argument("topics", nargs="*", metavar="TOPIC", help="names of topics")
    record.add_argument("-a", "--all", action="store_true", help="all topics that are not hidden")
    record.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="(default: rosbag2_ and the time)"
    )
    record.set_defaults(run=_record)
    play = steps.add_parser("play", help="publish what a bag holds, at its pace")
    info = steps.add_parser("info", help="say what is in a bag")
    info.set_defaults(run=_info)
    for step in (play, info):
        step.add_argument("bag", type=Path, help="the bag's folder, or an .mcap or .db3 file")
    _add_play_options(play)


def _add_play_options(play: argparse.ArgumentParser) -> None:
    play.add_argument(
        "--clock", dest="clock_hz", type=_positive, nargs="?", const=40.0, default=0.0,
        metavar="HZ", help="publish /clock so often (without a number: 40)",
    )  # fmt: skip
    play.add_argument("-r", "--rate", type=_positive, default=1.0, help="times as fast")
    play.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="these alone")
    play.add_argument(
        "--wait-for-subscribers", dest="wait_for_subscribers_s", type=float, default=1.0,
        metavar="S", help="begin when every topic is listened to, or after S s (default: 1)",
    )  # fmt: skip
    play.set_defaults(run=_play)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _report(line: str) -> None:
    print(line, flush=True)


def _record(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.bag_recorder import Recorder

    if bool(options.topics) == options.all:
        got = "both" if options.all else "neither"
        raise ConfigError("bag record", expected="names of topics, or --all", got=got,
                          remedy="say what to record")  # fmt: skip
    path = options.output or Path(f"rosbag2_{datetime.datetime.now():%Y_%m_%d-%H_%M_%S}")
    with stop_event() as stop:
        _report(f"Recording to {path}; Ctrl-C ends it")
        topics = Recorder(path, options.topics, _report).run(stop)
    for topic in topics:
        _report(f"{topic.written:8} {topic.name}, {topic.lost} lost")
    _report(f"Wrote {path}: {sum(topic.written for topic in topics)} messages")


def _play(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.bag_player import Player, PlayOptions

    names = [field.name for field in dataclasses.fields(PlayOptions)]
    chosen = PlayOptions(**{name: getattr(options, name) for name in names})
    with stop_event() as stop:
        _report(f"Played {Player(chosen, stop, _report).play(options.bag)} messages")


def _info(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.bag_player import describe_bag

    print(describe_bag(options.bag))


def add_topic(commands: Any) -> None:
    """Add ``topic``, which looks at the graph, to `commands`."""
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
