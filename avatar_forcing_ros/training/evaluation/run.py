"""A whole evaluation: conversations, rollouts, figures, files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import PRESETS
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.media_files.writing import json_file
from avatar_forcing_ros.model.checkpoint import Checkpoint, load_checkpoint
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.strict import require
from avatar_forcing_ros.training.evaluation import plots
from avatar_forcing_ros.training.evaluation.bars import all_bars, block_ms
from avatar_forcing_ros.training.evaluation.drift_plan import DriftPlan, drift_plan
from avatar_forcing_ros.training.evaluation.figures import FREE, HELD, Rolled, all_figures
from avatar_forcing_ros.training.evaluation.jobs import (
    SPLIT,
    Rollout,
    held_out,
    processes,
    rollouts,
)
from avatar_forcing_ros.training.evaluation.measuring import Truth
from avatar_forcing_ros.training.evaluation.report import page
from avatar_forcing_ros.training.evaluation.rollout import Script
from avatar_forcing_ros.training.evaluation.variants import Variant, variants
from avatar_forcing_ros.training.synthetic import Conversation
from avatar_forcing_ros.training.synthetic_data import FIRST_SEED

BATCH = 12  # conversations solved together: more at once gain little and need more memory


@dataclass(frozen=True)
class EvaluationConfig:
    """How much is measured."""

    conversations: int = 48
    seconds: float = 20.0
    seed: int = 0
    drift_minutes: float = 30.0
    compared: str = "all"
    """With what: "all" ablations, those without the "user", "none"."""
    free_drift: bool = True
    """Whether drift is measured without the anchor, too."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        for name, least, most in (
            ("conversations", 2, 2000),
            ("seconds", 4, 300),
            ("seed", 0, 900_000),
            ("drift_minutes", 0.1, 600),
            ("workers", 1, 1024),
        ):
            value = getattr(self, name)
            require(name, value, f"{least} to {most}", least <= value <= most)
        kinds = ("all", "user", "none")
        require("compared", self.compared, " or ".join(kinds), self.compared in kinds)


def evaluate(
    weights: Path, before: Path | None, config: EvaluationConfig, folder: Path
) -> dict[str, Any]:
    """Measure the generator in `weights`; the figures, as written to `folder`.

    Writes ``evaluation.json``, ``evaluation.md`` and plots. `before` holds the same model before
    preference learning. Raises CheckpointError for weights that are no rig generator,
    OutputError, and MissingDependencyError without espeakng-loader.
    """
    checkpoint = _rig_checkpoint(weights)
    if before:
        _rig_checkpoint(before)
    with json_file(folder / "evaluation.json") as figures:
        sampling = PRESETS["compact"].sampling
        model = checkpoint.generator.config
        speed_ms = block_ms(weights, sampling)  # before other processes want the cores
        compared = variants(weights, before, sampling, model, config.compared)
        with processes(config.workers) as pool:
            talks = held_out(config.conversations, config.seconds, config.seed, pool)
            plan = drift_plan(len(talks), talks[0].frames, config.drift_minutes, config.seed)
            rolled = _roll_all(compared, talks, plan, config.free_drift, pool)
        truth = Truth(talks)
        figures |= all_figures(truth, rolled, compared, plan, config.seed)
        figures["set"] = _told_of_set(config)
        figures["model"] = _told_of_model(weights, checkpoint)
        figures["bars"] = all_bars(figures, speed_ms)
        drawn = plots.draw_all(folder, figures, truth, rolled, plan)
        with atomic_write(folder / "evaluation.md") as part:
            part.write_text(page(figures, drawn), encoding="utf-8")
    return figures


def _rig_checkpoint(path: Path) -> Checkpoint:
    checkpoint = load_checkpoint(path)
    config = checkpoint.generator.config
    if config.motion_space != "rig" or config.motion_dim != coefficients.COUNT:
        raise CheckpointError(
            f"weights {path}",
            expected=f"a generator of {coefficients.COUNT} rig coefficients",
            got=f"{config.motion_space} motion of width {config.motion_dim}",
            remedy="give weights of the compact preset: there is no known truth for others",
        )
    return checkpoint


def _roll_all(
    compared: Sequence[Variant],
    talks: Sequence[Conversation],
    plan: DriftPlan,
    free_drift: bool,
    pool: Pool | None,
) -> Rolled:
    full = compared[0]
    ways = {HELD: full}
    if free_drift:
        ways[FREE] = replace(full, anchored=False)
    streams = tuple(Script([talks[i] for i in order]) for order in plan.orders)
    # the longest ones first
    jobs = [Rollout(way, streams, tuple(range(len(streams)))) for way in ways.values()]
    batches = [range(len(talks))[i : i + BATCH] for i in range(0, len(talks), BATCH)]
    for variant in compared:
        for places in batches:
            scripts = tuple(Script([talks[i]]) for i in places)
            jobs.append(Rollout(variant, scripts, tuple(places)))
    results = iter(rollouts(jobs, pool))
    long = {name: next(results) for name in ways}
    made = {v.name: [clip for _ in batches for clip in next(results)] for v in compared}
    return Rolled(made, long)


def _told_of_set(config: EvaluationConfig) -> dict[str, Any]:
    first = FIRST_SEED[SPLIT] + config.seed
    return {
        "conversations": config.conversations,
        "seconds": config.seconds,
        "split": SPLIT,
        "first_seed": first,
        "last_seed": first + config.conversations - 1,
    }


def _told_of_model(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.generator.config
    return {
        "weights": path.name,
        "block_frames": config.block_frames,
        "sampling": asdict(PRESETS["compact"].sampling),
        "origin": checkpoint.origin,
    }
