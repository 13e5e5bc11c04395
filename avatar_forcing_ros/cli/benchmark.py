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
        "WebRTC to a screen, and memory. With --conversations: what many on one set of weights "
        "cost, and how many fit.",
    )
    benchmark.add_argument(
        "--json", type=user_path, metavar="F", help="also write the metrics to F"
    )
    benchmark.add_argument(
        "--repeats", type=int, default=100, help="runs of each stage, 3 or more (default: 100)"
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
        "--conversations",
        type=int,
        metavar="N",
        help="measure up to N conversations on one set of weights instead, part by part: where "
        "the time goes, and how many fit on this machine; with --live N of them at a time, each "
        "with a caller",
    )
    benchmark.add_argument(
        "--seconds",
        type=float,
        help="how long the live part runs (default: 30; 0 leaves it out), or --graph listens "
        "(default: 60), or --live talks (default: 600)",
    )
    benchmark.add_argument(
        "--busy",
        type=int,
        default=0,
        metavar="N",
        help="beside --live, run N processes that only compute: what a busy machine does to it",
    )
    add_avatar_options(benchmark, live=True)
    benchmark.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, print the table."""
    from avatar_forcing_ros.media_files.writing import json_file

    count = options.conversations
    require("--conversations", count, "no --graph beside it", count is None or not options.graph)
    alone = _stages if options.conversations is None else _conversations
    measure = _graph if options.graph else _live if options.live else alone
    with json_file(options.json) as metrics:
        measured, text = measure(options)
        metrics |= measured
    print(text)
    if options.json and not options.graph:
        print(f"Wrote {options.json}")


def _stages(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from avatar_forcing_ros.benchmarks.stages import as_table, run_benchmark

    seconds = _seconds(options, 30.0, at_least=0)
    metrics = run_benchmark(avatar_config(options), options.repeats, seconds, _report)
    return metrics, as_table(metrics)


def _conversations(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from avatar_forcing_ros.benchmarks.conversations import as_table, run_conversations_benchmark

    metrics = run_conversations_benchmark(
        avatar_config(options), options.conversations, options.repeats
    )
    return metrics, as_table(metrics)


def _graph(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from avatar_forcing_ros.benchmarks.graph import run_graph_benchmark

    metrics = run_graph_benchmark(_seconds(options, 60.0), _report)
    return metrics, json.dumps(metrics, indent=2)


def _live(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from avatar_forcing_ros.benchmarks.web import run_live_benchmark
    from avatar_forcing_ros.benchmarks.web_many import many_as_table
    from avatar_forcing_ros.benchmarks.web_metrics import as_table

    seconds, config = _seconds(options, 600.0, at_least=5), avatar_config(options)
    require("--busy", options.busy, "0 or more", options.busy >= 0)
    count = 1 if options.conversations is None else options.conversations
    require("--conversations", count, "1 to 64", 1 <= count <= 64)
    metrics = run_live_benchmark(config, seconds, _report, busy=options.busy, conversations=count)
    return metrics, as_table(metrics) if count == 1 else many_as_table(metrics)


def _seconds(options: argparse.Namespace, default: float, at_least: float = 0) -> float:
    seconds = default if options.seconds is None else options.seconds
    require("--seconds", seconds, f"{at_least:g} or more", seconds >= at_least)
    return float(seconds)


def _report(text: str) -> None:
    print(text, file=sys.stderr)
