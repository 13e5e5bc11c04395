"""All metrics of an evaluation: of the full model, of its ablations, and of drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.rig.coefficients import EXPRESSION, POSE
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.evaluation.entries import entry, rounded
from avatar_forcing_ros.training.evaluation.listening import (
    ListeningRollouts,
    ListeningSet,
    contingency,
)
from avatar_forcing_ros.training.evaluation.variants import FULL, DriftPlan, Variant
from avatar_forcing_ros.training.metrics import motion_statistics, synchrony
from avatar_forcing_ros.training.metrics.behaviour import HUMAN_METRICS, Clip
from avatar_forcing_ros.training.metrics.bootstrap import (
    Array,
    Metric,
    difference,
    estimate,
    mean_of,
    resamples,
)
from avatar_forcing_ros.training.rollout import Motion, Script
from avatar_forcing_ros.training.synthetic import Conversation

ANCHORED, WITHOUT_ANCHOR = "anchored", "without_anchor"
PARTS = {"expression": EXPRESSION, "pose": POSE}
LOWER_IS_BETTER = ("rpcc_expression", "rpcc_pose", "fd_expression", "fd_pose")
HIGHER_IS_BETTER = ("lip_sync_r", "bilabial_closure")
NESTED = {  # stand within another metric's entry
    "pcc_expression": ("rpcc_expression", "pcc"),
    "pcc_pose": ("rpcc_pose", "pcc"),
    "border_jerk_ratio_pose": ("border_jerk_ratio", "pose"),
}
# what these are of the truth against itself
OWN_TRUTH = {"lip_sync_r": 1.0, "lip_sync_lag_frames": 0.0, **dict.fromkeys(LOWER_IS_BETTER, 0.0)}


@dataclass(frozen=True)
class Truth:
    """The held-out conversations, and what of them every comparison needs."""

    conversations: Sequence[Conversation]

    @cached_property
    def motion(self) -> list[Motion]:
        """The true avatar's ``[T, K]``."""
        return [item.avatar_motion for item in self.conversations]

    @cached_property
    def user(self) -> list[Motion]:
        """The user's, as tracked."""
        return [item.user_motion for item in self.conversations]

    @cached_property
    def spread(self) -> Array:
        """The unit of each coefficient ``[K]``."""
        return motion_statistics.spread_of(self.motion)

    @cached_property
    def responses(self) -> Array:
        """`correlation_sums` of the true avatar."""
        return synchrony.correlation_sums(self.user, self.motion)

    @cached_property
    def centres(self) -> dict[str, Array]:
        """Clusters of true expressions and poses; fewer where there are hardly any frames."""
        most = sum(map(len, self.motion)) // 8
        return {
            name: motion_statistics.clusters(
                self.normalised(self.motion, part), min(motion_statistics.CLUSTERS[name], most)
            )
            for name, part in PARTS.items()
        }

    def normalised(self, clips: Sequence[Motion], part: slice) -> list[NDArray[Any]]:
        """The coefficients of `part` in normalised units."""
        return [clip[:, part] / self.spread[part] for clip in clips]


@dataclass(frozen=True)
class Rollouts:
    """What every variant made of the conversations, the long streams, and before the listeners.

    Streams are with and without anchor; only some variants listen.
    """

    clips: dict[str, list[Motion]]
    streams: dict[str, list[Motion]]
    listening: dict[str, ListeningRollouts]


def all_metrics(
    truth: Truth,
    users: ListeningSet,
    rollouts: Rollouts,
    compared: Sequence[Variant],
    plan: DriftPlan,
    seed: int,
) -> dict[str, Any]:
    """Every metric of the full model, ``drift``, ``ablations`` and ``human``, with intervals."""
    drawn = resamples(len(truth.conversations), seed)
    full: dict[str, Metric] = {}
    out: dict[str, Any] = {}
    ablations: dict[str, Any] = {}
    real: dict[tuple[int, int], dict[str, Metric]] = {}
    for variant in compared:
        model = variant.generator().config
        found = clip_metrics(truth, rollouts.clips[variant.name], model)
        blocks = (model.first_block_frames, model.block_frames)
        if blocks not in real:  # the truth's jerk is taken at the same borders
            real[blocks] = clip_metrics(truth, truth.motion, model)
        entries = _entries(found, real[blocks], drawn)
        if variant.name == FULL:
            full, out = found, entries
        else:
            worse = _worse(found, full, drawn)
            ablations[variant.name] = {"meaning": variant.meaning, **entries, **worse}
    answers = contingency(users, rollouts.listening, FULL, drawn)
    out |= answers[FULL]
    for name, found_answers in answers.items():
        if name in ablations:
            ablations[name] |= found_answers
    out["drift"] = _drift(truth, rollouts.streams, plan, seed)
    out["ablations"] = ablations
    out["human"] = _human(truth, rollouts.clips[FULL], drawn)
    return out


def block_borders(model: ModelConfig, frames: int) -> NDArray[np.bool_]:
    """Which steps of a clip of `frames` cross a border of `model`'s blocks."""
    return motion_statistics.border_steps(
        frames, model.first_block_frames, model.block_frames, model.avatar_audio_delay_frames
    )


def clip_metrics(truth: Truth, clips: Sequence[Motion], model: ModelConfig) -> dict[str, Metric]:
    """All metrics by name of `clips`, what `model` made in the conversations of `truth`."""
    speaking = [item.avatar_speaking for item in truth.conversations]
    phonemes = [item.avatar_phonemes for item in truth.conversations]
    borders = [block_borders(model, len(clip)) for clip in clips]
    out: dict[str, Metric] = {}
    out["lip_sync_r"], out["lip_sync_lag_frames"] = synchrony.lip_sync(
        clips, truth.motion, speaking
    )
    out["bilabial_closure"] = synchrony.bilabial_closure(clips, phonemes)
    responses = synchrony.correlation_sums(truth.user, clips)
    per_part: dict[str, Callable[[str, slice], Metric]] = {
        "rpcc": lambda _, part: synchrony.residual_correlation(responses, truth.responses, part),
        "pcc": lambda _, part: synchrony.response_correlation(responses, truth.responses, part),
        "sid": lambda name, part: motion_statistics.diversity(
            truth.normalised(clips, part), truth.centres[name]
        ),
        "var": lambda _, part: motion_statistics.variance(truth.normalised(clips, part)),
        "fd": lambda _, part: motion_statistics.frechet_distance(
            truth.normalised(clips, part), truth.normalised(truth.motion, part)
        ),
    }
    for kind, make in per_part.items():
        for name, part in PARTS.items():
            out[f"{kind}_{name}"] = make(name, part)
    for name, part in (("", slice(None)), ("_pose", POSE)):
        out[f"border_jerk_ratio{name}"] = motion_statistics.border_jerk(
            truth.normalised(clips, part), borders
        )
    return out


def _entries(
    found: Mapping[str, Metric], real: Mapping[str, Metric], drawn: Array
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, metric in found.items():
        true = OWN_TRUTH[name] if name in OWN_TRUTH else real[name].value
        found_entry = entry(estimate(metric, drawn), true)
        if name in NESTED:
            outer, key = NESTED[name]
            out[outer][key] = found_entry
        else:
            out[name] = found_entry
    return out


def _worse(
    found: Mapping[str, Metric], full: Mapping[str, Metric], drawn: Array
) -> dict[str, Any]:
    """``<metric>_worse_by`` of a variant, paired over conversations: above 0 where it is worse."""
    gaps = {name: difference(found[name], full[name], drawn) for name in LOWER_IS_BETTER}
    gaps |= {name: difference(full[name], found[name], drawn) for name in HIGHER_IS_BETTER}
    return {
        f"{name}_worse_by": {key: rounded(value) for key, value in gap._asdict().items()}
        for name, gap in gaps.items()
    }


def _drift(
    truth: Truth, streams: Mapping[str, Sequence[Motion]], plan: DriftPlan, seed: int
) -> dict[str, Any]:
    """How far the long streams strayed; the interval is over streams."""
    drawn = resamples(len(plan.orders), seed)
    real = true_streams(truth, plan)
    real_moved, real_widened = _moved(real, truth, plan)
    out: dict[str, Any] = {}
    for name, made in streams.items():
        moved, widened = _moved(made, truth, plan)
        stream = entry(estimate(mean_of(moved), drawn), float(real_moved.mean()))
        spread = estimate(mean_of(widened), drawn)
        stream["spread_ratio"] = entry(spread, float(real_widened.mean()))
        out = stream if name == ANCHORED else out | {name: stream}
    return out | {
        "minutes": round(len(real[0]) / FRAME_RATE_HZ / 60.0, 2),
        "compared_minutes": round(plan.window_frames / FRAME_RATE_HZ / 60.0, 2),
        "streams": len(plan.orders),
    }


def true_streams(truth: Truth, plan: DriftPlan) -> list[Motion]:
    """The true avatar's motion ``[T, K]`` in each long stream."""
    return [Script([truth.conversations[i] for i in order]).truth() for order in plan.orders]


def _moved(streams: Sequence[Motion], truth: Truth, plan: DriftPlan) -> tuple[Array, Array]:
    return motion_statistics.drift(
        [motion / truth.spread for motion in streams], plan.window_frames
    )


def _human(truth: Truth, clips: Sequence[Motion], drawn: Array) -> dict[str, dict[str, Any]]:
    """Every human metric of `clips` with its interval, the truth's, and what is published."""
    made, real = (
        [
            Clip(motion, item.user_motion, item.avatar_speaking, item.user_speaking)
            for motion, item in zip(motions, truth.conversations, strict=True)
        ]
        for motions in (clips, truth.motion)
    )
    return {
        metric.name: {
            "unit": metric.unit,
            **entry(estimate(metric.measure(made), drawn), metric.measure(real).value),
            "published": list(metric.published) if metric.published else None,
            "source": metric.source or None,
        }
        for metric in HUMAN_METRICS
    }
