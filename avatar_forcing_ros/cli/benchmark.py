"""``avatar-forcing benchmark``: how long each stage takes here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.options import add_avatar_options, avatar_config


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    benchmark = commands.add_parser(
        "benchmark",
        help="measure each stage on this machine",
        description="Times audio features, transformer, block, renderer, tracker and the whole "
        "path, and the same block with caching off as the baseline.",
    )
    benchmark.add_argument("--json", type=Path, metavar="F", help="also write the figures to F")
    benchmark.add_argument(
        "--repeats", type=int, default=100, help="runs of each stage (default: 100)"
    )
    add_avatar_options(benchmark)
    benchmark.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, print the table."""
    from avatar_forcing_ros.pipeline.benchmark import as_table, run_benchmark
    from avatar_forcing_ros.pipeline.media_output import json_file

    with json_file(options.json) as figures:
        figures |= run_benchmark(avatar_config(options), options.repeats)
    print(as_table(figures))
    if options.json:
        print(f"Wrote {options.json}")
