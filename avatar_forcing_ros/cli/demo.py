"""``avatar-forcing demo``: the shipped conversation, rendered."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.options import add_avatar_options, avatar_config
from avatar_forcing_ros.cli.progress import ProgressBar
from avatar_forcing_ros.resources import user_path


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    demo = commands.add_parser(
        "demo",
        help="render the shipped conversation to demo.mp4",
        description="The shipped portrait says two sentences, then listens while a person talks, "
        "nods, smiles and laughs. Writes demo.mp4 and the measured metrics, demo.json.",
    )
    demo.add_argument(
        "-o", "--output-dir", type=user_path, default=Path("out"), help="folder (default: out)"
    )
    add_avatar_options(demo)
    demo.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Render it, print the metrics."""
    from avatar_forcing_ros.offline.demo import run_demo
    from avatar_forcing_ros.timebase import FRAME_PERIOD_S

    folder = options.output_dir
    with ProgressBar(FRAME_PERIOD_S) as progress:
        metrics = run_demo(avatar_config(options), folder, progress)
    print(json.dumps(metrics, indent=2))
    print(f"Wrote {folder / 'demo.mp4'} and {folder / 'demo.json'}")
