"""``avatar-forcing train``: conversations to learn from, and the learning."""

from __future__ import annotations

import argparse
import os
from typing import Any

from avatar_forcing_ros.cli import train_view
from avatar_forcing_ros.config import PRESETS
from avatar_forcing_ros.resources import user_path


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    train = commands.add_parser(
        "train",
        help="make training conversations, train the motion generator",
        description="Three steps: 'data' makes conversations from seeds (or 'avatar-forcing "
        "prepare' takes recorded ones), 'flow' trains a generator on them, and 'preference' "
        "makes it answer the user more. Each resumes where it was interrupted. 'view' shows a "
        "conversation.",
    )
    steps = train.add_subparsers(title="steps", metavar="STEP", required=True)
    data = steps.add_parser("data", help="make conversations (needs the extra [train])")
    data.add_argument("folder", type=user_path, help="where to put them; those there are kept")
    data.add_argument("--count", type=int, default=4000, help="for training (default: 4000)")
    data.add_argument("--valid", type=int, default=64, help="for validation (default: 64)")
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
    flow = steps.add_parser(
        "flow",
        help="train by diffusion forcing",
        description="Train a generator by diffusion forcing on the conversations in a folder. "
        "Curves are for TensorBoard: tensorboard --logdir OUTPUT_DIR. Several devices: "
        "--devices 8; several machines: start this command on each with --nodes by torchrun or "
        "your cluster's launcher.",
    )
    _add_run_options(flow)
    flow.add_argument(
        "--init",
        type=user_path,
        metavar="CKPT",
        help="checkpoint to begin from (the paper preset needs one: its speech encoder is kept)",
    )
    flow.set_defaults(run=_train, step="flow")
    preference = steps.add_parser(
        "preference",
        help="prefer real motion to motion made without the user",
        description="Make losing samples: what the model makes of the same speech when it neither "
        "sees nor hears the user. Then train it to come nearer to the real motion and not to "
        "those (diffusion DPO). Nothing is labelled by hand.",
    )
    _add_run_options(preference)
    preference.add_argument(
        "--init", type=user_path, required=True, metavar="CKPT", help="weights from 'train flow'"
    )
    preference.set_defaults(run=_train, step="preference")
    train_view.add_step(steps)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=user_path, help="folder with the conversations")
    parser.add_argument("-o", "--output-dir", type=user_path, required=True)
    parser.add_argument("--config", type=user_path, metavar="YAML", help="training settings")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="compact")
    parser.add_argument(
        "--accelerator", default="auto", metavar="A", help="cpu, cuda, … (default: auto)"
    )
    parser.add_argument(
        "--devices", type=int, default=1, metavar="N", help="processes on this machine"
    )
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="machines")


def _train_data(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from avatar_forcing_ros.media_files.writing import json_file
    from avatar_forcing_ros.training.synthetic.dataset import data_card, make_conversations

    for split, count in (("train", options.count), ("valid", options.valid)):
        made = make_conversations(
            options.folder, split, count, options.workers, options.natural_share
        )
        for _ in tqdm(made, total=count, desc=split, unit="conversation"):
            pass
    card = options.folder / "data_card.json"
    with json_file(card) as values:
        values |= data_card(options.natural_share)
    print(f"Wrote {card}")


def _train(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.training.run import Run, train_flow, train_preference

    run = Run(
        data=options.folder,
        folder=options.output_dir,
        preset=options.preset,
        settings=options.config,
        initial=options.init,
        accelerator=options.accelerator,
        devices=options.devices,
        nodes=options.nodes,
    )
    {"flow": train_flow, "preference": train_preference}[options.step](run)
