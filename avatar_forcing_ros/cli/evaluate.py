"""``avatar-forcing evaluate``: a generator on conversations that training never saw."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from avatar_forcing_ros.resources import user_path

QUICK = {"conversations": 12, "seconds": 12.0, "drift_minutes": 1.0}


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
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
    evaluate.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, write the files, print the tables."""
    from avatar_forcing_ros.resources import shipped
    from avatar_forcing_ros.training.evaluation.evaluate import EvaluationConfig, evaluate
    from avatar_forcing_ros.training.evaluation.report import summary

    given: dict[str, Any] = dict(QUICK) if options.quick else {}
    if options.quick:
        given |= {"compared": "user", "free_drift": False}
    if options.no_ablations:
        given["compared"] = "none"
    for name in ("conversations", "seconds", "seed", "drift_minutes", "workers"):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    weights = options.weights or shipped("models/compact/generator.safetensors")
    metrics = evaluate(weights, options.before, EvaluationConfig(**given), options.output_dir)
    print(summary(metrics))
    print(f"\nWrote {options.output_dir / 'evaluation.md'}")
