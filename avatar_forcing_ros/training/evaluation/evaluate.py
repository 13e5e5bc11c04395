"""A whole evaluation: conversations, rollouts, metrics, files."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import PRESETS, AnchorConfig, SamplingConfig
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.media_files.writing import json_file
from avatar_forcing_ros.model.checkpoint import Checkpoint, load_checkpoint
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.settings import Config, setting
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.evaluation import plots, report
from avatar_forcing_ros.training.evaluation.listening import (
    HEARD_BY,
    SEEN_BY,
    ListeningRollouts,
    ListeningSet,
)
from avatar_forcing_ros.training.evaluation.metrics_table import (
    ANCHORED,
    WITHOUT_ANCHOR,
    Rollouts,
    Truth,
    all_metrics,
)
from avatar_forcing_ros.training.evaluation.variants import (
    DriftPlan,
    Variant,
    drift_plan,
    variants,
    with_blocks,
)
from avatar_forcing_ros.training.rollout import Motion, Script, roll_out_audio
from avatar_forcing_ros.training.synthetic import (
    Conversation,
    generate_conversation,
    generate_listener,
)
from avatar_forcing_ros.training.synthetic.dataset import FIRST_SEED
from avatar_forcing_ros.training.workers import Job, Result, one_thread, run_jobs

SPLIT = "test"
BATCH = 12  # conversations solved together: more at once gain little and need more memory
SPEED_BLOCK_FRAMES, SPEED_NFE, SPEED_BLOCKS = 5, 4, 20


@dataclass(frozen=True)
class EvaluationConfig(Config):
    """How much is measured."""

    conversations: int = setting(48, "Held-out conversations.", low=2, high=2000)
    seconds: float = setting(20.0, "Length of each.", unit="s", low=4, high=300)
    seed: int = setting(0, "Which conversations: 0 is the split's first.", low=0, high=900_000)
    drift_minutes: float = setting(
        30.0, "Length of the streams that drift is measured on.", unit="min", low=0.1, high=600
    )
    compared: str = setting(
        "all",
        "Ablations to compare with: all, those without the user, or none.",
        choices=("all", "user", "none"),
    )
    free_drift: bool = setting(True, "Whether drift is measured without the anchor, too.")
    workers: int = setting(os.cpu_count() or 1, "Processes.", low=1, high=1024)


@dataclass(frozen=True)
class _RolloutJob:
    """One batch: a variant of the generator takes the avatar's part in `scripts`."""

    variant: Variant
    scripts: tuple[Script, ...]
    seeds: tuple[int, ...]


def evaluate(
    weights: Path, before: Path | None, config: EvaluationConfig, folder: Path
) -> dict[str, Any]:
    """Measure the generator in `weights`; the metrics, as written to `folder`.

    Writes ``evaluation.json``, ``evaluation.md`` and plots. `before` holds the same model before
    preference learning. Raises CheckpointError for weights that are no rig generator,
    OutputError, and MissingDependencyError without espeakng-loader.
    """
    checkpoint = rig_checkpoint(weights)
    if before:
        rig_checkpoint(before)
    sampling, model = PRESETS["compact"].sampling, checkpoint.generator.config
    with json_file(folder / "evaluation.json") as metrics:
        speed_ms = block_ms(weights, sampling)  # before other processes want the cores
        compared = variants(weights, before, sampling, model, config.compared)
        with one_thread():
            conversations = _held_out(config)
            users = _listening_set(config)
            plan = drift_plan(
                len(conversations), conversations[0].frames, config.drift_minutes, config.seed
            )
            rollouts = _roll_out_all(compared, conversations, users, plan, config)
        truth = Truth(conversations)
        metrics |= all_metrics(truth, users, rollouts, compared, plan, config.seed)
        metrics["set"] = _set_info(config)
        metrics["model"] = {
            "weights": weights.name,
            "block_frames": model.block_frames,
            "sampling": asdict(sampling),
            "origin": checkpoint.origin,
        }
        speed_name = f"block of {SPEED_BLOCK_FRAMES} frames, {SPEED_NFE} evaluations, ms"
        metrics["thresholds"] = report.thresholds(metrics, speed_name, speed_ms)
        drawn = plots.draw_all(folder, metrics, truth, rollouts, plan)
        with atomic_write(folder / "evaluation.md") as part:
            part.write_text(report.page(metrics, drawn), encoding="utf-8")
    return metrics


def block_ms(weights: Path, sampling: SamplingConfig) -> float:
    """Median time of a block of 5 frames with 4 function evaluations, on one thread, in ms."""
    generator = with_blocks(load_checkpoint(weights).generator, SPEED_BLOCK_FRAMES)
    quick = replace(sampling, nfe=SPEED_NFE)
    engine = MotionEngine(generator, quick, anchor=AnchorConfig())
    state, rng, took_ms = engine.new_state(), np.random.default_rng(0), []
    with one_thread():
        # until the attention's memory is full blocks are cheaper
        fill = generator.config.window_frames // SPEED_BLOCK_FRAMES
        for _ in range(fill + SPEED_BLOCKS):
            n = engine.frames(state)
            audio = rng.uniform(-0.1, 0.1, n * SAMPLES_PER_FRAME).astype(np.float32)
            motion = np.zeros((n, generator.config.motion_dim), np.float32)
            start = time.perf_counter()
            engine.step(state, BlockInput(audio, audio, motion))
            took_ms.append(1000.0 * (time.perf_counter() - start))
    return float(np.median(took_ms[fill:]))


def rig_checkpoint(path: Path) -> Checkpoint:
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


def _held_out(config: EvaluationConfig) -> list[Conversation]:
    """Conversations of the test split; seed 0 is its first."""
    first = FIRST_SEED[SPLIT] + config.seed
    jobs = [(first + i, config.seconds) for i in range(config.conversations)]
    return _map(_generate, jobs, config.workers, "conversations")


def _listening_set(config: EvaluationConfig) -> ListeningSet:
    """The same users, before avatars that only listen."""
    asked = (FIRST_SEED[SPLIT] + config.seed, config.conversations, config.seconds)
    seen, heard = (
        listeners_of(SPLIT, *asked, who, config.workers, seen=sees)
        for who, sees in ((SEEN_BY, True), (HEARD_BY, False))
    )
    return ListeningSet(seen, heard)


def listeners_of(
    split: str,
    first_seed: int,
    users: int,
    seconds: float,
    listeners: Sequence[int],
    workers: int,
    *,
    seen: bool = True,
) -> list[list[Conversation]]:
    """`users` of a split before each of `listeners`, who only listen: a list for each of these."""
    jobs = [
        (first_seed + i, seconds, split, listener, seen)
        for listener in listeners
        for i in range(users)
    ]
    made = _map(_generate_listener, jobs, workers, "listeners")
    return [made[i : i + users] for i in range(0, len(made), users)]


def roll_out_listening(
    variant: Variant,
    rows: Sequence[Sequence[Conversation]],
    listeners: Sequence[int],
    workers: int,
) -> list[list[Motion]]:
    """What `variant` makes of listening to each user of `rows`, a list for each listener."""
    return _roll_out_rows(
        [
            _RolloutRow(variant, [Script([item]) for item in row], [listener] * len(row))
            for row, listener in zip(rows, listeners, strict=True)
        ],
        workers,
    )


@dataclass(frozen=True)
class _RolloutRow:
    """A variant of the generator takes the avatar's part in `scripts`, all equally long."""

    variant: Variant
    scripts: Sequence[Script]
    seeds: Sequence[int]

    def jobs(self) -> list[_RolloutJob]:
        """The row in batches."""
        parts = [slice(i, i + BATCH) for i in range(0, len(self.scripts), BATCH)]
        return [
            _RolloutJob(self.variant, tuple(self.scripts[part]), tuple(self.seeds[part]))
            for part in parts
        ]


def _roll_out_rows(rows: Sequence[_RolloutRow], workers: int) -> list[list[Motion]]:
    """What was made of each row."""
    jobs = [job for row in rows for job in row.jobs()]
    made = (clip for result in _map(_roll_out, jobs, workers, "rollouts") for clip in result)
    return [list(itertools.islice(made, len(row.scripts))) for row in rows]


def _roll_out_all(
    compared: Sequence[Variant],
    conversations: Sequence[Conversation],
    users: ListeningSet,
    plan: DriftPlan,
    config: EvaluationConfig,
) -> Rollouts:
    full = compared[0]
    long_runs = {ANCHORED: full}
    if config.free_drift:
        long_runs[WITHOUT_ANCHOR] = replace(full, anchored=False)
    streams = [Script([conversations[i] for i in order]) for order in plan.orders]
    scripts = [Script([item]) for item in conversations]
    # the longest ones first
    rows = [_RolloutRow(variant, streams, range(len(streams))) for variant in long_runs.values()]
    rows += [_RolloutRow(variant, scripts, range(len(scripts))) for variant in compared]
    sets = {
        "seen": list(zip(SEEN_BY, users.seen, strict=True)),
        "heard": list(zip(HEARD_BY, users.heard, strict=True)),
    }
    for variant in compared:
        for name in variant.listens:
            for k, row in sets[name]:
                rows.append(_RolloutRow(variant, [Script([item]) for item in row], [k] * len(row)))
    made = iter(_roll_out_rows(rows, config.workers))
    long = {name: next(made) for name in long_runs}
    clips = {variant.name: next(made) for variant in compared}
    listening = {}
    for variant in compared:
        heard_and_seen = {name: [next(made) for _ in sets[name]] for name in variant.listens}
        if heard_and_seen:
            listening[variant.name] = ListeningRollouts(
                heard_and_seen.get("seen", []), heard_and_seen.get("heard", [])
            )
    return Rollouts(clips, long, listening)


def _set_info(config: EvaluationConfig) -> dict[str, Any]:
    first = FIRST_SEED[SPLIT] + config.seed
    return {
        "conversations": config.conversations,
        "seconds": config.seconds,
        "split": SPLIT,
        "first_seed": first,
        "last_seed": first + config.conversations - 1,
    }


def _map(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, name: str
) -> list[Result]:
    """`work` of all `jobs` in their order, with a progress bar."""
    done = tqdm(run_jobs(work, jobs, workers), total=len(jobs), desc=name, unit="", disable=None)
    results = dict(done)
    return [results[i] for i in range(len(jobs))]


def _generate(job: tuple[int, float]) -> Conversation:
    seed, seconds = job
    return generate_conversation(seed, seconds, SPLIT)


def _generate_listener(job: tuple[int, float, str, int, bool]) -> Conversation:
    seed, seconds, split, listener, seen = job
    return generate_listener(seed, seconds, split, listener, seen=seen)


def _roll_out(job: _RolloutJob) -> list[Motion]:
    return roll_out_audio(
        job.variant.engine(),
        job.scripts,
        job.seeds,
        user_audio=job.variant.user_audio,
        user_motion=job.variant.user_motion,
    )
