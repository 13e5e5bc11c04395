"""What the shipped generator must reach, and whether it does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatar_forcing_ros.config import AnchorConfig, SamplingConfig
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.evaluation.variants import BEFORE, WITHOUT_USER, in_blocks

Bar = dict[str, Any]
DRIFT_MINUTES = 10.0  # less says nothing about half an hour
SPEED_BLOCK_FRAMES, SPEED_EVALUATIONS = 5, 4
SPEED_BLOCKS = 20


def block_ms(weights: Path, sampling: SamplingConfig) -> float:
    """Median time of a block of 5 frames with 4 evaluations here, on one thread, in ms."""
    generator = in_blocks(load_checkpoint(weights).generator, SPEED_BLOCK_FRAMES)
    quick = replace(sampling, nfe=SPEED_EVALUATIONS)
    engine = MotionEngine(generator, quick, anchor=AnchorConfig())
    state, rng, took = engine.new_state(), np.random.default_rng(0), []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # until the attention's memory is full blocks are cheaper
        fill = generator.config.window_frames // SPEED_BLOCK_FRAMES
        for _ in range(fill + SPEED_BLOCKS):
            n = engine.frames(state)
            sound = rng.uniform(-0.1, 0.1, n * SAMPLES_PER_FRAME).astype(np.float32)
            motion = np.zeros((n, generator.config.motion_dim), np.float32)
            start = time.perf_counter()
            engine.step(state, BlockInput(sound, sound, motion))
            took.append(1000.0 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(threads)
    return float(np.median(took[fill:]))


def all_bars(figures: Mapping[str, Any], speed_ms: float) -> list[Bar]:
    """Every bar of the compact model: its name, what is wanted, the value, and whether it is met.

    `met` is None for what these figures cannot tell.
    """
    ablations = figures["ablations"]
    out = [
        _bar("lip_sync_r", ">= 0.85", figures["lip_sync_r"]["value"], lambda v: v >= 0.85),
        _bar(
            "lip_sync_lag_frames",
            "-1 to 1",
            figures["lip_sync_lag_frames"]["value"],
            lambda v: abs(v) <= 1,
        ),
        _bar(
            "bilabial_closure", ">= 0.8", figures["bilabial_closure"]["value"], lambda v: v >= 0.8
        ),
    ]
    for part in ("expression", "pose"):
        for name in WITHOUT_USER:
            if name in ablations:
                worse = ablations[name][f"rpcc_{part}_worse_by"]
                out.append(
                    _bar(
                        f"rpcc_{part} worse with {name}",
                        "> 0, with its whole interval",
                        worse["low"],
                        lambda low: low > 0,
                    )
                    | {"value": worse["value"], "low": worse["low"], "high": worse["high"]}
                )
    if BEFORE in ablations:
        out += _preference_bars(figures, ablations[BEFORE])
    out.append(
        _bar(
            "border_jerk_ratio",
            "<= 1.2",
            figures["border_jerk_ratio"]["value"],
            lambda v: v <= 1.2,
        )
    )
    out.append(_drift_bar(figures["drift"]))
    name = f"block of {SPEED_BLOCK_FRAMES} frames, {SPEED_EVALUATIONS} evaluations, ms"
    out.append(_bar(name, "<= 40", round(speed_ms, 1), lambda v: v <= 40.0))
    return out


def _bar(name: str, wanted: str, value: float | None, met: Any) -> Bar:
    reached = bool(met(value)) if value is not None else None
    return {"name": name, "wanted": wanted, "value": value, "met": reached}


def _drift_bar(drift: Mapping[str, Any]) -> Bar:
    minutes = drift["minutes"]
    bar = _bar(f"drift over {minutes:g} minutes", "<= 0.2", drift["value"], lambda v: v <= 0.2)
    if minutes < DRIFT_MINUTES:
        bar["met"] = None
    return bar


def _preference_bars(figures: Mapping[str, Any], before: Mapping[str, Any]) -> list[Bar]:
    out = []
    for name in ("rpcc", "var", "sid"):
        for part in ("expression", "pose"):
            key = f"{name}_{part}"
            real = figures[key]["ground_truth"]
            nearer = abs(before[key]["value"] - real) - abs(figures[key]["value"] - real)
            out.append(
                _bar(
                    f"{key} nearer to the truth than before preference",
                    "> 0",
                    round(nearer, 4),
                    lambda v: v > 0,
                )
            )
    lost = before["lip_sync_r"]["value"] - figures["lip_sync_r"]["value"]
    out.append(
        _bar("lip_sync_r lost by preference", "<= 0.02", round(lost, 4), lambda v: v <= 0.02)
    )
    return out
