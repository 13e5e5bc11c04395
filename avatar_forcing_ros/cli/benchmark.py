"""``avatar-forcing benchmark``: how long each stage takes here."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from avatar_forcing_ros.cli.options import add_avatar_options, avatar_config
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.strict import require


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    benchmark = commands.add_parser(
        "benchmark",
        help="measure each stage on this machine",
        description="Times audio features, transformer, block, renderer, tracker and the whole "
        "path, and the same block with caching off as the baseline; then, live, how long a "
        "frame of the user waits for the avatar's answer. With --graph: what publishing costs "
        "between two processes, and what gets lost. With --live: the whole way from a camera over "
        "WebRTC to a screen, and memory.",
    )
    benchmark.add_argument(
        "--json", type=user_path, metavar="F", help="also write the metrics to F"
    )
    benchmark.add_argument(
        "--repeats", type=int, default=100, help="runs of each stage (default: 100)"
    )
    instead = benchmark.add_mutually_exclusive_group()
    instead.add_argument(
        "--graph",
        action="store_true",
        help="measure the topics instead (needs ROS 2)",
    )
    instead.add_argument(
        "--live",
        action="store_true",
        help="measure a conversation over WebRTC on this machine instead (needs 'web')",
    )
    benchmark.add_argument(
        "--seconds",
        type=float,
        help="how long the live part runs (default: 30; 0 leaves it out), or --graph listens "
        "(default: 60), or --live talks (default: 600)",
    )
    add_avatar_options(benchmark, live=True)
    benchmark.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, print the table."""
    if options.graph:
        _run_graph(options)
        return
    if options.live:
        _run_live(options)
        return
    from avatar_forcing_ros.benchmarks.stages import as_table, run_benchmark
    from avatar_forcing_ros.media_files.writing import json_file

    with json_file(options.json) as metrics:
        seconds = 30.0 if options.seconds is None else options.seconds
        require("--seconds", seconds, "0 or more", seconds >= 0)
        metrics |= run_benchmark(avatar_config(options), options.repeats, seconds, _report)
    print(as_table(metrics))
    if options.json:
        print(f"Wrote {options.json}")


def _run_graph(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.benchmarks.graph import run_graph_benchmark
    from avatar_forcing_ros.media_files.writing import json_file

    with json_file(options.json) as metrics:
        seconds = 60.0 if options.seconds is None else options.seconds
        metrics |= run_graph_benchmark(seconds, _report)
    print(json.dumps(metrics, indent=2))


def _run_live(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.benchmarks.web import as_table, run_live_benchmark
    from avatar_forcing_ros.media_files.writing import json_file

    with json_file(options.json) as metrics:
        seconds = 600.0 if options.seconds is None else options.seconds
        require("--seconds", seconds, "5 or more", seconds >= 5)
        metrics |= run_live_benchmark(avatar_config(options), seconds, _report)
    print(as_table(metrics))
    if options.json:
        print(f"Wrote {options.json}")


def _report(text: str) -> None:
    print(text, file=sys.stderr)
