"""``avatar-forcing bag``: records, plays and describes rosbag2 bags."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.stopping import stop_event
from avatar_forcing_ros.errors import ConfigError

CLOCK_HZ = 40.0


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    bag = commands.add_parser(
        "bag",
        help="record, play and describe rosbag2 bags",
        description="What 'ros2 bag' does, for machines that have rclpy and no rosbag2: bags of "
        "the same format.",
    )
    steps = bag.add_subparsers(title="steps", metavar="STEP", required=True)
    _add_record(steps)
    _add_play(steps)
    info = steps.add_parser("info", help="say what is in a bag")
    info.add_argument("bag", type=Path, help="the bag's folder, or an .mcap or .db3 file")
    info.set_defaults(run=_info)


def _add_record(steps: Any) -> None:
    record = steps.add_parser("record", help="record topics until Ctrl-C")
    record.add_argument("topics", nargs="*", metavar="TOPIC", help="names of topics")
    record.add_argument(
        "-a", "--all", action="store_true", help="all topics, hidden ones excepted"
    )
    record.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="(default: rosbag2_ and the time)"
    )
    record.set_defaults(run=_record)


def _add_play(steps: Any) -> None:
    play = steps.add_parser("play", help="publish what a bag holds, at its pace")
    play.add_argument("bag", type=Path, help="the bag's folder, or an .mcap or .db3 file")
    play.add_argument(
        "--clock",
        type=_positive,
        nargs="?",
        const=CLOCK_HZ,
        default=0.0,
        metavar="HZ",
        help=f"publish /clock so often (without a number: {CLOCK_HZ:.0f})",
    )
    play.add_argument(
        "-r", "--rate", type=_positive, default=1.0, help="how many times as fast (default: 1)"
    )
    play.add_argument(
        "--start-offset", type=_not_negative, default=0.0, metavar="S", help="leave out S seconds"
    )
    play.add_argument(
        "-d", "--delay", type=_not_negative, default=0.0, metavar="S", help="begin S seconds later"
    )
    play.add_argument("-l", "--loop", action="store_true", help="begin again at the end")
    play.add_argument(
        "-m",
        "--remap",
        nargs="+",
        type=_remap,
        default=[],
        metavar="A:=B",
        help="play topic A as B",
    )
    play.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="these alone")
    play.add_argument(
        "--wait-for-subscribers",
        type=_not_negative,
        default=1.0,
        metavar="S",
        help="do not begin before every topic is listened to, but wait no longer than S seconds "
        "(default: 1)",
    )
    play.set_defaults(run=_play)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return value


def _remap(text: str) -> tuple[str, str]:
    source, _, target = text.partition(":=")
    if not (source and target):
        raise argparse.ArgumentTypeError(f"expected FROM:=TO, got {text}")
    return source, target


def _report(line: str) -> None:
    print(line, flush=True)


def _record(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.bag_recorder import Recorder

    if bool(options.topics) == options.all:
        raise ConfigError(
            "bag record",
            expected="names of topics, or --all",
            got="both" if options.all else "neither",
            remedy="say what to record",
        )
    path = options.output or Path(f"rosbag2_{datetime.datetime.now():%Y_%m_%d-%H_%M_%S}")
    recorder = Recorder(path, options.topics, _report)
    with stop_event() as stop:
        _report(f"Recording to {path}; Ctrl-C ends it")
        topics = recorder.run(stop)
    for topic in topics:
        lost = f", {topic.lost} lost" if topic.lost else ""
        _report(f"{topic.written:8} {topic.name}{lost}")
    written, lost_in_all = (sum(getattr(t, n) for t in topics) for n in ("written", "lost"))
    _report(f"Wrote {path}: {written} messages, {lost_in_all} lost")


def _play(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.bag_player import Player, PlayOptions

    play_options = PlayOptions(
        clock_hz=options.clock,
        rate=options.rate,
        delay_s=options.delay,
        start_offset_s=options.start_offset,
        loop=options.loop,
        remaps=dict(options.remap),
        topics=tuple(options.topics),
        wait_for_subscribers_s=options.wait_for_subscribers,
    )
    with stop_event() as stop:
        sent = Player(play_options, stop, _report).play(options.bag)
    _report(f"Played {sent} messages")


def _info(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.nodes.bag_files import describe_bag

    print(describe_bag(options.bag))
