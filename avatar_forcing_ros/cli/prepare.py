"""``avatar-forcing prepare``: recordings of real conversations to training data."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.resources import user_path

if TYPE_CHECKING:
    from avatar_forcing_ros.training.recordings import Report

NOTHING_KEPT = 1


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    prepare = commands.add_parser(
        "prepare",
        help="make training data of recorded conversations",
        description="Tracks both faces of recorded two-person conversations and writes what "
        "'avatar-forcing train flow' learns from, with a report of what was kept and why the rest "
        "was not. Stopped half-way, it resumes where it was. The folder may hold: (1) two "
        "videos of one conversation, one person each with their own audio, NAME_a.mp4 and "
        "NAME_b.mp4 (or _left and _right, .left and .right); (2) one video with two faces side "
        "by side and two audio channels, the left one for the left face, of any other name; "
        "(3) a file pairs.csv with the columns a and b, which names the videos of each pair. "
        "docs/DATA.md says more.",
    )
    prepare.add_argument("recordings", type=user_path, help="folder with the recordings")
    prepare.add_argument(
        "-o",
        "--output-dir",
        type=user_path,
        required=True,
        metavar="DATA",
        help="folder for the data",
    )
    prepare.add_argument(
        "--preset", default="compact", help="whose motion: compact or paper (default: compact)"
    )
    prepare.add_argument(
        "--weights",
        default="",
        metavar="F",
        help="for paper: checkpoint, or folder of released files, with the motion autoencoder",
    )
    prepare.add_argument(
        "--valid-share",
        type=float,
        default=0.05,
        metavar="P",
        help="share of the recordings kept for validation (default: 0.05)",
    )
    prepare.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="recordings at once (default: one a processor)",
    )
    prepare.add_argument(
        "--min-seconds",
        type=float,
        default=4.0,
        metavar="S",
        help="shorter windows are left out (default: 4)",
    )
    prepare.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prepare them, print the summary."""
    from tqdm import tqdm

    from avatar_forcing_ros.training.recordings import PrepareSettings, prepare

    settings = PrepareSettings(
        preset=options.preset,
        weights=options.weights,
        valid_share=options.valid_share,
        min_seconds=options.min_seconds,
    )
    with tqdm(unit="recording", disable=None, leave=False, dynamic_ncols=True) as bar:

        def progress(done: int, total: int, report: Report) -> None:
            bar.total = total
            bar.update(done - bar.n)
            bar.set_postfix_str(f"{report.windows} windows")

        report = prepare(
            options.recordings, options.output_dir, settings, options.workers, progress=progress
        )
    print(report.summary)
    print(f"Wrote {options.output_dir / 'report.md'} and report.json")
    return 0 if report.windows else NOTHING_KEPT
