"""Motion to figures: all measures of one way of running the generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.rig.coefficients import EXPRESSION, POSE
from avatar_forcing_ros.training.metrics import human, lips, reactivity, smoothness
from avatar_forcing_ros.training.metrics import motion_statistics as variety
from avatar_forcing_ros.training.metrics.bootstrap import Array, Estimate, Measure, estimate
from avatar_forcing_ros.training.synthetic import Conversation

Motion = NDArray[np.float32]  # [T, K]
PARTS = {"expression": EXPRESSION, "pose": POSE}
CLUSTERS = {"expression": variety.CLUSTERS_EXPRESSION, "pose": variety.CLUSTERS_POSE}


@dataclass(frozen=True)
class Truth:
    """The held-out conversations, and what of them every comparison needs."""

    talks: Sequence[Conversation]

    @cached_property
    def motion(self) -> list[Motion]:
        """The true avatar's ``[T, K]``."""
        return [talk.avatar_motion for talk in self.talks]

    @cached_property
    def user(self) -> list[Motion]:
        """The user's, as tracked."""
        return [talk.user_motion for talk in self.talks]

    @cached_property
    def spread(self) -> Array:
        """The unit of each coefficient ``[K]``."""
        return variety.spread_of(self.motion)

    @cached_property
    def answers(self) -> Array:
        """`correlation_sums` of the true avatar."""
        return reactivity.correlation_sums(self.user, self.motion)

    @cached_property
    def centres(self) -> dict[str, Array]:
        """Clusters of true expressions and poses; fewer where there are hardly any frames."""
        frames = sum(map(len, self.motion))
        return {
            name: variety.clusters(
                self.in_units(self.motion, part), min(CLUSTERS[name], frames // 8)
            )
            for name, part in PARTS.items()
        }

    def in_units(self, clips: Sequence[Motion], part: slice) -> list[NDArray[Any]]:
        """The coefficients of `part` in normalised units."""
        return [clip[:, part] / self.spread[part] for clip in clips]

    def seen(self, clips: Sequence[Motion]) -> list[human.Seen]:
        """`clips` as the avatar's face in these conversations."""
        return [
            human.Seen(clip, talk.user_motion, talk.avatar_speaking, talk.user_speaking)
            for clip, talk in zip(clips, self.talks, strict=True)
        ]


def borders(model: ModelConfig, frames: int) -> NDArray[np.bool_]:
    """Which steps of a clip of `frames` cross a border of `model`'s blocks."""
    delay = model.avatar_audio_delay_frames
    return smoothness.border_steps(frames, model.first_block_frames, model.block_frames, delay)


def measures(truth: Truth, clips: Sequence[Motion], model: ModelConfig) -> dict[str, Measure]:
    """All measures by name of `clips`, what `model` made in the conversations of `truth`."""
    speaking = [talk.avatar_speaking for talk in truth.talks]
    at = [borders(model, len(clip)) for clip in clips]
    out: dict[str, Measure] = {}
    out["lip_sync_r"], out["lip_sync_lag_frames"] = lips.lip_sync(clips, truth.motion, speaking)
    out["bilabial_closure"] = lips.bilabial_closure(
        clips, [talk.avatar_phonemes for talk in truth.talks]
    )
    answers = reactivity.correlation_sums(truth.user, clips)
    per_part: dict[str, Callable[[str, slice], Measure]] = {
        "rpcc": lambda name, part: reactivity.residual_correlation(answers, truth.answers, part),
        "pcc": lambda name, part: reactivity.answer_correlation(answers, truth.answers, part),
        "sid": lambda name, part: variety.diversity(
            truth.in_units(clips, part), truth.centres[name]
        ),
        "var": lambda name, part: variety.variance(truth.in_units(clips, part)),
        "fd": lambda name, part: variety.frechet_distance(
            truth.in_units(clips, part), truth.in_units(truth.motion, part)
        ),
    }
    for kind, make in per_part.items():
        for name, part in PARTS.items():
            out[f"{kind}_{name}"] = make(name, part)
    everything = slice(0, clips[0].shape[1])
    out["border_jerk_ratio"] = smoothness.border_jerk(truth.in_units(clips, everything), at)
    out["border_jerk_ratio_pose"] = smoothness.border_jerk(truth.in_units(clips, POSE), at)
    return out


def human_figures(
    truth: Truth, clips: Sequence[Motion], drawn: Array
) -> dict[str, dict[str, Any]]:
    """Every human figure of `clips` with its interval, the truth's, and what is published."""
    made, real = truth.seen(clips), truth.seen(truth.motion)
    return {
        figure.name: {
            "unit": figure.unit,
            **as_entry(estimate(figure.measure(made), drawn), figure.measure(real).value),
            "published": list(figure.published) if figure.published else None,
            "source": figure.source or None,
        }
        for figure in human.FIGURES
    }


def as_entry(figure: Estimate, truth: float) -> dict[str, float | None]:
    """A figure as it is written to a file; what is not known is None."""
    return {
        "value": known(figure.value),
        "low": known(figure.low),
        "high": known(figure.high),
        "ground_truth": known(truth),
    }


def known(value: float) -> float | None:
    """`value` with four decimals, None where it is no number."""
    return round(float(value), 4) if np.isfinite(value) else None
