"""``avatar-forcing bag``: records, plays and describes rosbag2 bags."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.stopping import stop_event
from avatar_forcing_ros.errors import ConfigError


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
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
