"""All figures of an evaluation: of the full model, of what it is compared with, of drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.evaluation.drift_plan import DriftPlan
from avatar_forcing_ros.training.evaluation.measuring import (
    Motion,
    Truth,
    as_entry,
    human_figures,
    known,
    measures,
)
from avatar_forcing_ros.training.evaluation.rollout import Script
from avatar_forcing_ros.training.evaluation.variants import FULL, Variant, in_blocks
from avatar_forcing_ros.training.metrics.bootstrap import (
    Array,
    Measure,
    difference,
    estimate,
    mean_of,
    resamples,
)
from avatar_forcing_ros.training.metrics.smoothness import drift

HELD, FREE = "anchored", "without_anchor"
LOWER_IS_BETTER = ("rpcc_expression", "rpcc_pose", "fd_expression", "fd_pose")
HIGHER_IS_BETTER = ("lip_sync_r", "bilabial_closure")
BESIDE = {  # told within another figure's entry
    "pcc_expression": ("rpcc_expression", "pcc"),
    "pcc_pose": ("rpcc_pose", "pcc"),
    "border_jerk_ratio_pose": ("border_jerk_ratio", "pose"),
}
# what these are of the truth against itself
OWN_TRUTH = {"lip_sync_r": 1.0, "lip_sync_lag_frames": 0.0, **dict.fromkeys(LOWER_IS_BETTER, 0.0)}


@dataclass(frozen=True)
class Rolled:
    """What every variant made of the conversations, and the long streams, held and free."""

    made: dict[str, list[Motion]]
    streams: dict[str, list[Motion]]


def all_figures(
    truth: Truth, rolled: Rolled, compared: Sequence[Variant], plan: DriftPlan, seed: int
) -> dict[str, Any]:
    """Every figure of the full model, ``drift``, ``ablations`` and ``human``, with intervals."""
    drawn = resamples(len(truth.talks), seed)
    full: dict[str, Measure] = {}
    out: dict[str, Any] = {}
    ablations: dict[str, Any] = {}
    real: dict[tuple[int, int], dict[str, Measure]] = {}
    for variant in compared:
        generator = load_checkpoint(variant.weights).generator
        if variant.block_frames:
            generator = in_blocks(generator, variant.block_frames)
        found = measures(truth, rolled.made[variant.name], generator.config)
        blocks = (generator.config.first_block_frames, generator.config.block_frames)
        if blocks not in real:  # the truth's jerk is taken at the same borders
            real[blocks] = measures(truth, truth.motion, generator.config)
        entries = _entries(found, real[blocks], drawn)
        if variant.name == FULL:
            full, out = found, entries
        else:
            worse = _worse(found, full, drawn)
            ablations[variant.name] = {"meaning": variant.meaning, **entries, **worse}
    out["drift"] = _drift(truth, rolled.streams, plan, seed)
    out["ablations"] = ablations
    out["human"] = human_figures(truth, rolled.made[FULL], drawn)
    return out


def _entries(
    found: Mapping[str, Measure], real: Mapping[str, Measure], drawn: Array
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, measure in found.items():
        true = OWN_TRUTH[name] if name in OWN_TRUTH else real[name].value
        entry = as_entry(estimate(measure, drawn), true)
        if name in BESIDE:
            main, key = BESIDE[name]
            out[main][key] = entry
        else:
            out[name] = entry
    return out


def _worse(
    found: Mapping[str, Measure], full: Mapping[str, Measure], drawn: Array
) -> dict[str, Any]:
    """``<figure>_worse_by`` of a variant, paired over conversations: above 0 where it is worse."""
    gaps = {name: difference(found[name], full[name], drawn) for name in LOWER_IS_BETTER}
    gaps |= {name: difference(full[name], found[name], drawn) for name in HIGHER_IS_BETTER}
    return {
        f"{name}_worse_by": {key: known(value) for key, value in gap._asdict().items()}
        for name, gap in gaps.items()
    }


def _drift(
    truth: Truth, streams: Mapping[str, Sequence[Motion]], plan: DriftPlan, seed: int
) -> dict[str, Any]:
    """How far the long streams strayed; the interval is over streams."""
    drawn = resamples(len(plan.orders), seed)
    real = [Script([truth.talks[i] for i in order]).truth() for order in plan.orders]
    real_moved, real_widened = _moved(real, truth, plan)
    out: dict[str, Any] = {}
    for way, made in streams.items():
        moved, widened = _moved(made, truth, plan)
        entry: dict[str, Any] = {
            **as_entry(estimate(mean_of(moved), drawn), float(real_moved.mean()))
        }
        spread = estimate(mean_of(widened), drawn)
        entry["spread_ratio"] = as_entry(spread, float(real_widened.mean()))
        out = entry if way == HELD else out | {way: entry}
    return out | {
        "minutes": round(len(real[0]) / FRAME_RATE_HZ / 60.0, 2),
        "compared_minutes": round(plan.window_frames / FRAME_RATE_HZ / 60.0, 2),
        "streams": len(plan.orders),
    }


def _moved(
    streams: Sequence[NDArray[np.float32]], truth: Truth, plan: DriftPlan
) -> tuple[Array, Array]:
    return drift([motion / truth.spread for motion in streams], plan.window_frames)
