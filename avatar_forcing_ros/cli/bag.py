"""``avatar-forcing bag``: records, plays and describes rosbag2 bags where there is no ROS."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.sourced import refuse_where_ros_is
from avatar_forcing_ros.cli.stopping import stop_event
from avatar_forcing_ros.errors import ConfigError

CLOCK_HZ = 40.0


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    bag = commands.add_parser(
        "bag",
        help="record, play and describe rosbag2 bags without ROS",
        description="What 'ros2 bag' does, where no ROS is installed: bags of the same format, "
        "to and from the same graph.",
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
    record.add_argument(
        "-s", "--storage", choices=("mcap", "sqlite3"), default="mcap", help="(default: mcap)"
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
        "-m", "--remap", nargs="+", default=[], metavar="A:=B", help="play topic A as B"
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


def _say(line: str) -> None:
    print(line, flush=True)


def _record(options: argparse.Namespace) -> None:
    refuse_where_ros_is("bag record")
    from avatar_forcing_ros.standalone.bag_record import Recorder

    if bool(options.topics) == options.all:
        raise ConfigError(
            "bag record",
            expected="names of topics, or --all",
            got="both" if options.all else "neither",
            remedy="say what to record",
        )
    now = datetime.datetime.now()
    path = options.output or Path(f"rosbag2_{now:%Y_%m_%d-%H_%M_%S}")
    with stop_event() as stop:
        recorder = Recorder(path, None if options.all else options.topics, options.storage, _say)
        _say(f"Recording to {path}; Ctrl-C ends it")
        messages = recorder.run(stop)
    for topic, count in sorted(messages.items()):
        _say(f"{count:8} {topic}")
    _say(f"Wrote {path}: {sum(messages.values())} messages")


def _play(options: argparse.Namespace) -> None:
    refuse_where_ros_is("bag play")
    from avatar_forcing_ros.standalone.bag_play import Player, PlayOptions, parse_remaps

    told = PlayOptions(
        clock_hz=options.clock,
        rate=options.rate,
        delay_s=options.delay,
        start_offset_s=options.start_offset,
        loop=options.loop,
        remaps=parse_remaps(options.remap),
        topics=tuple(options.topics),
        wait_for_subscribers_s=options.wait_for_subscribers,
    )
    with stop_event() as stop:
        sent = Player(options.bag, told, _say).run(stop)
    _say(f"Played {sent} messages")


def _info(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.standalone.bag_files import bag_text

    print(bag_text(options.bag))
