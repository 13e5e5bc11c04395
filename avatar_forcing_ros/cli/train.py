"""``avatar-forcing prepare``, ``train`` and ``evaluate``: from recordings or seeds to metrics."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.cli import train_view
from avatar_forcing_ros.config import PRESETS
from avatar_forcing_ros.resources import shipped, user_path

if TYPE_CHECKING:
    from avatar_forcing_ros.training.recordings import Report

NOTHING_KEPT = 1
QUICK = {"conversations": 12, "seconds": 12.0, "drift_minutes": 1.0}
QUICK_CLAIMS = {"users": 12, "seconds": 12.0, "judge_users": 60, "judge_steps": 300, "windows": 5}


def add_prepare(commands: Any) -> None:
    """Add ``prepare``, recordings of real conversations to training data, to `commands`."""
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
    prepare.set_defaults(run=_run_prepare)


def _run_prepare(options: argparse.Namespace) -> int:
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


def add_train(commands: Any) -> None:
    """Add ``train``, conversations to learn from and the learning, to `commands`."""
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


def add_evaluate(commands: Any) -> None:
    """Add ``evaluate``, a generator on conversations that training never saw, to `commands`."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure a motion generator on held-out conversations",
        description="Makes conversations with voices and sentences that training never had, lets "
        "the generator take the avatar's part in them, and measures lip sync, reactions, variety, "
        "smoothness and drift against the truth (needs the extra [train]). Writes "
        "evaluation.json, evaluation.md and plots.",
    )
    evaluate.add_argument(
        "--weights",
        type=user_path,
        metavar="CKPT",
        help="checkpoint (default: the one that ships)",
    )
    evaluate.add_argument(
        "--before",
        type=user_path,
        metavar="CKPT",
        help="the same model before preference learning",
    )
    evaluate.add_argument(
        "--quick", action="store_true", help="within a minute: fewer conversations and ablations"
    )
    evaluate.add_argument(
        "--claims",
        action="store_true",
        help="measure the paper's claims instead, to claims.json and claims.md: speed against "
        "whole windows, and what a judge prefers that was trained on truth alone",
    )
    evaluate.add_argument(
        "-o", "--output-dir", type=user_path, default=Path("evaluation"), metavar="DIR",
        help="where the results go (default: evaluation)",
    )  # fmt: skip
    evaluate.add_argument(
        "--conversations", type=int, metavar="N", help="how many (default: 48, quick: 12)"
    )
    evaluate.add_argument(
        "--seconds", type=float, metavar="S", help="length of each (default: 20, quick: 12)"
    )
    evaluate.add_argument(
        "--seed", type=int, default=0, metavar="K", help="which conversations (default: 0)"
    )
    evaluate.add_argument(
        "--drift-minutes", type=float, metavar="M",
        help="length of the streams that drift is measured on (default: 30, quick: 1)",
    )  # fmt: skip
    evaluate.add_argument(
        "--no-ablations", action="store_true", help="only the model as it is, and --before"
    )
    evaluate.add_argument("--workers", type=int, help="processes (default: one for each core)")
    evaluate.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> None:
    """Measure, write the files, print the tables."""
    from avatar_forcing_ros.training.evaluation.evaluate import EvaluationConfig, evaluate
    from avatar_forcing_ros.training.evaluation.report import summary

    weights = options.weights or shipped("models/compact/generator.safetensors")
    if options.claims:
        _run_claims(weights, options)
        return
    given: dict[str, Any] = dict(QUICK) if options.quick else {}
    if options.quick:
        given |= {"compared": "user", "free_drift": False}
    if options.no_ablations:
        given["compared"] = "none"
    for name in ("conversations", "seconds", "seed", "drift_minutes", "workers"):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    metrics = evaluate(weights, options.before, EvaluationConfig(**given), options.output_dir)
    print(summary(metrics))
    print(f"\nWrote {options.output_dir / 'evaluation.md'}")


def _run_claims(weights: Path, options: argparse.Namespace) -> None:
    """Measure the claims, write the files, print the page."""
    from avatar_forcing_ros.training.evaluation.claims import ClaimsConfig, measure_claims, page

    given: dict[str, Any] = dict(QUICK_CLAIMS) if options.quick else {}
    given["workers"] = options.workers or os.cpu_count() or 1
    for name, setting in (("conversations", "users"), ("seconds", "seconds")):
        if getattr(options, name) is not None:
            given[setting] = getattr(options, name)
    claims = measure_claims(weights, options.before, ClaimsConfig(**given), options.output_dir)
    print(page(claims))
    print(f"Wrote {options.output_dir / 'claims.md'}")
