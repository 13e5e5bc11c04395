"""``avatar-forcing train``: conversations to learn from, and the learning."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    train = commands.add_parser(
        "train",
        help="make training conversations, train the motion generator",
        description="Two steps: 'data' makes conversations from seeds, 'flow' trains on them.",
    )
    steps = train.add_subparsers(title="steps", metavar="STEP", required=True)
    data = steps.add_parser("data", help="make conversations (needs the extra [train])")
    data.add_argument("folder", type=Path, help="where to put them; those there are kept")
    data.add_argument("--count", type=int, default=1200, help="for training (default: 1200)")
    data.add_argument("--valid", type=int, default=48, help="for validation (default: 48)")
    data.add_argument(
        "--natural-share",
        type=float,
        default=0.0,
        metavar="P",
        help="share of training voices made of recorded speech; needs the program flite "
        "(default: 0)",
    )
    data.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    data.set_defaults(run=_train_data)
    flow = steps.add_parser("flow", help="train by diffusion forcing; goes on where it stopped")
    flow.add_argument("folder", type=Path, help="folder with the conversations")
    flow.add_argument("-o", "--output-dir", type=Path, required=True)
    flow.add_argument("--config", type=Path, metavar="YAML", help="training settings")
    flow.add_argument("--init", type=Path, metavar="F", help="checkpoint to begin from")
    flow.set_defaults(run=_train_flow)


def _train_data(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from avatar_forcing_ros.media_files.writing import json_file
    from avatar_forcing_ros.training.synthetic_data import data_card, make_conversations

    for split, count in (("train", options.count), ("valid", options.valid)):
        made = make_conversations(
            options.folder, split, count, options.workers, options.natural_share
        )
        for _ in tqdm(made, total=count, desc=split, unit="conversation"):
            pass
    card = options.folder / "data_card.json"
    with json_file(card) as figures:
        figures |= data_card(options.natural_share)
    print(f"Wrote {card}")


def _train_flow(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.training.run import train_flow

    train_flow(options.folder, options.output_dir, options.config, options.init)
