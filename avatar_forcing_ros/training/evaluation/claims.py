"""The two claims of the Avatar Forcing paper, measured: speed, and being preferred.

Speed: blocks with a cache, as the avatar streams, against the same network that has to see a whole
window before it can sample it, as one that is not causal does. Preference: a judge (see `judge`)
decides between what the generator makes and what others make, for the same users.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import PRESETS, AnchorConfig, SamplingConfig
from avatar_forcing_ros.media_files.writing import json_file
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX
from avatar_forcing_ros.settings import Config, setting
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.evaluation.entries import entry, rounded
from avatar_forcing_ros.training.evaluation.evaluate import (
    SPLIT,
    listeners_of,
    rig_checkpoint,
    roll_out_listening,
)
from avatar_forcing_ros.training.evaluation.judge import Judge, scores, train_judge, user_of
from avatar_forcing_ros.training.evaluation.variants import Variant
from avatar_forcing_ros.training.metrics.bootstrap import estimate, mean_of, resamples
from avatar_forcing_ros.training.rollout import Motion
from avatar_forcing_ros.training.synthetic.dataset import FIRST_SEED
from avatar_forcing_ros.training.workers import one_thread

LISTENERS = (0, 1)
JUDGE_SPLIT, JUDGE_SEEDS = "valid", 500_000  # beyond those that training is validated on
LEAST_ACCURACY = 0.75
WARM_UP_WINDOWS = 2
LIPS = [
    INDEX[name]
    for name in ("jaw_open", "lips_close", "mouth_wide", "mouth_pucker", "upper_lip_raise",
                 "lower_lip_down", "blink_left", "blink_right")
]  # fmt: skip


@dataclass(frozen=True)
class ClaimsConfig(Config):
    """How much is measured."""

    users: int = setting(48, "Held-out users who are listened to.", low=4, high=2000)
    seconds: float = setting(20.0, "How long.", unit="s", low=8, high=120)
    judge_users: int = setting(400, "Users that the judge learns from.", low=4, high=10_000)
    judge_steps: int = setting(1500, "Steps of its training.", low=1)
    windows: int = setting(20, "Windows of motion that are timed.", low=2, high=1000)
    workers: int = setting(1, "Processes.", low=1, high=1024)


def measure_claims(
    weights: Path, before: Path | None, config: ClaimsConfig, folder: Path
) -> dict[str, Any]:
    """Both claims of the generator in `weights`, as written to ``claims.json`` and ``claims.md``.

    `before` holds the same model before preference learning. Raises as `evaluate` does.
    """
    generator = rig_checkpoint(weights).generator
    sampling = PRESETS["compact"].sampling
    with json_file(folder / "claims.json") as claims:
        claims["speed"] = speed(generator, sampling, config.windows)
        claims["preference"] = preference(weights, before, sampling, config)
        with atomic_write(folder / "claims.md") as part:
            part.write_text(page(claims), encoding="utf-8")
    return claims


def speed(generator: MotionGenerator, sampling: SamplingConfig, windows: int) -> dict[str, Any]:
    """Latency and computing of blocks with a cache, and of whole windows, taken in turns."""
    model = generator.config
    whole = copy.deepcopy(generator)  # its first block is a window, in which all sees all
    whole.config = whole.flow_transformer.config = replace(
        model, block_causal=False, first_block_frames=model.window_frames
    )
    causal = MotionEngine(generator, sampling, anchor=AnchorConfig())
    bidirectional = MotionEngine(whole, sampling, cached=False)
    state, rng = causal.new_state(), np.random.default_rng(0)
    blocks_ms: list[float] = []
    windows_ms: list[float] = []
    with one_thread():
        for k in range(WARM_UP_WINDOWS + windows):
            took_ms = [
                _step_ms(causal, state, rng)
                for _ in range(model.window_frames // model.block_frames)
            ]
            whole_ms = _step_ms(bidirectional, bidirectional.new_state(), rng)
            if k >= WARM_UP_WINDOWS:
                blocks_ms += took_ms
                windows_ms.append(whole_ms)
    block_ms, window_ms = float(np.median(blocks_ms)), float(np.median(windows_ms))
    frame_ms = FRAME_PERIOD_NS / 1e6
    ours_ms = model.block_frames * frame_ms + block_ms
    theirs_ms = model.window_frames * frame_ms + window_ms
    return {
        "block_frames": model.block_frames,
        "window_frames": model.window_frames,
        "block_ms": _spread(blocks_ms),
        "window_ms": _spread(windows_ms),
        "latency_ms": rounded(ours_ms),
        "window_latency_ms": rounded(theirs_ms),
        "latency_ratio": rounded(theirs_ms / ours_ms),
        "compute_ratio_at_the_same_reaction": rounded(window_ms / block_ms),
        "paper_latency_ratio": 6.8,
    }


def _step_ms(engine: MotionEngine, state: Any, rng: np.random.Generator) -> float:
    frames = engine.frames(state)
    audio = rng.uniform(-0.1, 0.1, frames * SAMPLES_PER_FRAME).astype(np.float32)
    motion = np.zeros((frames, engine.config.motion_dim), np.float32)
    started_s = time.perf_counter()
    engine.step(state, BlockInput(audio, audio, motion))
    return 1000.0 * (time.perf_counter() - started_s)


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    low, middle, high = np.percentile(values, (5, 50, 95))
    return {"median": rounded(middle), "p5": rounded(low), "p95": rounded(high)}


def preference(
    weights: Path, before: Path | None, sampling: SamplingConfig, config: ClaimsConfig
) -> dict[str, Any]:
    """How often the judge prefers the full model to others, and how often it is right on truth."""
    judge = _trained_judge(config)
    rows = listeners_of(
        SPLIT, FIRST_SEED[SPLIT], config.users, config.seconds, LISTENERS, config.workers
    )
    users = [user_of(item) for item in rows[0]]
    truth = [[item.avatar_motion for item in row] for row in rows]
    swapped = [[*row[1:], row[0]] for row in truth]  # each before the next one's user
    drawn = resamples(config.users)
    accuracy = _won(judge, users, truth, swapped)
    out: dict[str, Any] = {
        "accuracy_on_truth": entry(estimate(mean_of(accuracy), drawn), 1.0),
        "judge_users": config.judge_users,
        "users": config.users,
        "wins": {},
    }
    if float(accuracy.mean()) < LEAST_ACCURACY:
        return out  # such a judge's verdicts say nothing
    full = Variant("full", "", weights, sampling)
    others = {"no_user": replace(full, user_audio=False, user_motion=False)}
    if before:
        others["before_preference"] = replace(full, weights=before)
    made = {
        name: roll_out_listening(variant, rows, LISTENERS, config.workers)
        for name, variant in {"full": full, **others}.items()
    }
    made["lips_alone"] = [[_lips_alone(motion) for motion in row] for row in made["full"]]
    for name, motions in made.items():
        if name != "full":
            won = _won(judge, users, made["full"], motions)
            out["wins"][name] = entry(estimate(mean_of(won), drawn), 0.5)
    against = _won(judge, users, made["full"], truth)
    out["wins"]["truth"] = entry(estimate(mean_of(against), drawn), 0.5)
    return out


def _trained_judge(config: ClaimsConfig) -> Judge:
    rows = listeners_of(
        JUDGE_SPLIT, FIRST_SEED[JUDGE_SPLIT] + JUDGE_SEEDS, config.judge_users, config.seconds,
        tuple(k + 100 for k in LISTENERS), config.workers,
    )  # fmt: skip
    listeners = [[item.avatar_motion for item in row] for row in rows]
    return train_judge([user_of(item) for item in rows[0]], listeners, config.judge_steps)


def _lips_alone(motion: Motion) -> Motion:
    """A face that talks and blinks, and does nothing else."""
    out = np.zeros((len(motion), COUNT), np.float32)
    out[:, LIPS] = motion[:, LIPS]
    return out


def _won(
    judge: Judge,
    users: Sequence[NDArray[np.float32]],
    one: Sequence[Sequence[Motion]],
    other: Sequence[Sequence[Motion]],
) -> NDArray[np.float64]:
    """The share ``[U]`` of listeners that are preferred as in `one`, for each user."""
    better = [
        scores(judge, users, a) > scores(judge, users, b) for a, b in zip(one, other, strict=True)
    ]
    return np.mean(better, axis=0)


def page(claims: dict[str, Any]) -> str:
    """Both claims as Markdown."""
    fast, judged = claims["speed"], claims["preference"]
    right = judged["accuracy_on_truth"]
    lines = [
        "# The paper's claims",
        "",
        "## Speed",
        "",
        f"A block of {fast['block_frames']} frames with the cache takes "
        f"{fast['block_ms']['median']:.1f} ms (5 to 95 %: {fast['block_ms']['p5']:.1f} to "
        f"{fast['block_ms']['p95']:.1f}), a whole window of {fast['window_frames']} frames "
        f"{fast['window_ms']['median']:.1f} ms ({fast['window_ms']['p5']:.1f} to "
        f"{fast['window_ms']['p95']:.1f}), by the same network with as many evaluations.",
        "",
        f"From the beginning of what the user does to the first frame that can answer it: "
        f"{fast['latency_ms']:.0f} ms against {fast['window_latency_ms']:.0f} ms, "
        f"{fast['latency_ratio']:.1f} times less (the paper: {fast['paper_latency_ratio']}). "
        f"To answer as soon as that, whole windows would need "
        f"{fast['compute_ratio_at_the_same_reaction']:.1f} times the computing.",
        "",
        "## Preference",
        "",
        f"A judge that learned from {judged['judge_users']} users of the truth tells the answer "
        f"to a held-out user from that to another in {_percent(right)} of the cases "
        f"({judged['users']} users, two listeners each).",
        "",
    ]
    if not judged["wins"]:
        lines += [f"Under {LEAST_ACCURACY:.0%} its verdicts say nothing: no claim is made."]
    else:
        lines += ["| the full model against | preferred, 95 % interval |", "|---|---|"]
        lines += [f"| {name} | {_percent(won)} |" for name, won in judged["wins"].items()]
    return "\n".join(lines) + "\n"


def _percent(found: dict[str, Any]) -> str:
    return f"{found['value']:.0%} ({found['low']:.0%} to {found['high']:.0%})"
