"""Acts of a face: what they are, and how the motion of a person is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.curves import (
    Curve,
    band_noise,
    bump,
    ease,
    frame_times,
    nod,
    soft_activity,
)
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.turns import Speech


@dataclass(frozen=True)
class Act:
    """One act: `kind` (nod, beat, emphasis, smile, laugh, brow, tilt, furrow), when, how much.

    `caused_by_s` is the time of the partner's act or phrase end that it reacts to, None if
    spontaneous; `hold_s` is used by acts that last.
    """

    kind: str
    start_s: float
    size: float
    hold_s: float = 0.0
    caused_by_s: float | None = None


def add_acts(
    rng: np.random.Generator,
    style: PersonStyle,
    own: Speech,
    motion: Curve,
    acts: Sequence[Act],
    brows: Curve,
) -> None:
    """Add the acts of a person who speaks `own` to `motion` ``[T, K]`` in place.

    `brows` ``[T]`` is how far they are up without any act.
    """
    frames = len(motion)
    times_s = frame_times(frames)
    smile_tremor = stats.SMILE_TREMOR * band_noise(rng, frames, (0.1, 2.0))
    brow_tremor = stats.BROW_TREMOR * band_noise(rng, frames, (0.3, 3.0))
    smile = np.full(frames, style.base_smile)
    cheek, brow, furrow, teeth = (np.zeros(frames) for _ in range(4))
    for act in acts:
        if act.kind == "nod":
            cycles = int(rng.integers(stats.NOD_CYCLES[0], stats.NOD_CYCLES[1] + 1))
            fastest_hz = stats.NOD_SPEED_RAD_S / (np.pi * act.size)
            rate_hz = min(rng.uniform(*stats.NOD_HZ), fastest_hz)
            motion[:, INDEX["head_pitch"]] += act.size * nod(times_s, act.start_s, cycles, rate_hz)
        elif act.kind == "beat":
            shape = bump(times_s, act.start_s, 0.16, 0.0, 0.24)
            motion[:, INDEX["head_pitch"]] += act.size * shape
        elif act.kind == "emphasis":
            beat_s = rng.uniform(0.14, 0.20)
            first_s = act.start_s + stats.EMPHASIS_PEAK_S - beat_s
            shape = bump(times_s, first_s, beat_s, 0.0, 1.3 * beat_s)
            motion[:, INDEX["head_pitch"]] += act.size * style.expressiveness * shape
        elif act.kind in ("smile", "laugh"):
            rise_s, fall_s = rng.uniform(*stats.SMILE_RISE_S), rng.uniform(*stats.SMILE_FALL_S)
            rise_s *= 0.6 if act.kind == "laugh" else 1.0
            shape = act.size * bump(times_s, act.start_s, rise_s, act.hold_s, fall_s)
            smile = np.maximum(smile, shape)
            if act.kind == "laugh" or rng.random() < stats.SMILE_GENUINE_PROBABILITY:
                cheek = np.maximum(cheek, stats.CHEEK_OF_SMILE * shape)
            teeth = np.maximum(teeth, shape * (0.45 if act.kind == "laugh" else 0.12))
            if act.kind == "laugh":  # the head goes back and bobs with the calls
                motion[:, INDEX["head_pitch"]] -= 0.12 * shape
        elif act.kind == "brow":
            shape = bump(times_s, act.start_s, 0.18, act.hold_s, 0.35)
            shape *= 1.0 - stats.BROW_SINKS * ease(times_s, act.start_s + 0.15, act.hold_s + 0.3)
            brow = np.maximum(brow, act.size * shape)
        elif act.kind == "tilt":
            shape = bump(times_s, act.start_s, 0.6, act.hold_s, 0.9)
            motion[:, INDEX["head_roll"]] += act.size * shape
        elif act.kind == "furrow":
            shape = act.size * bump(times_s, act.start_s, 0.4, act.hold_s, 0.6)
            furrow = np.maximum(furrow, shape)
    smile *= 1.0 + smile_tremor
    smile *= 1.0 - (1.0 - stats.SMILE_WHILE_SPEAKING) * soft_activity(own.active(frames), 0.4)
    brow = np.clip(np.maximum(brow, brows) + 0.5 * np.minimum(brow, brows), 0.0, 1.0)
    brow *= 1.0 + brow_tremor
    _set_expression(style, motion, smile, cheek, brow, furrow, teeth)


def _set_expression(
    style: PersonStyle,
    motion: Curve,
    smile: Curve,
    cheek: Curve,
    brow: Curve,
    furrow: Curve,
    teeth: Curve,
) -> None:
    pucker = motion[:, INDEX["mouth_pucker"]]
    smile = smile * (1.0 - 0.4 * np.clip(pucker, 0.0, 1.0))
    smile *= 1.0 - (1.0 - stats.SMILE_ON_CLOSED_LIPS) * motion[:, INDEX["lips_close"]]
    motion[:, INDEX["smile_left"]] = smile * (1.0 + style.smile_asymmetry)
    motion[:, INDEX["smile_right"]] = smile * (1.0 - style.smile_asymmetry)
    motion[:, INDEX["cheek_raise"]] = cheek
    motion[:, INDEX["mouth_wide"]] += 0.22 * smile * (1.0 - pucker)
    open_lips = 1.0 - motion[:, INDEX["lips_close"]]
    motion[:, INDEX["upper_lip_raise"]] += teeth * open_lips
    motion[:, INDEX["brow_up_left"]] = brow
    motion[:, INDEX["brow_up_right"]] = brow * (1.0 + 0.5 * style.smile_asymmetry)
    motion[:, INDEX["brow_furrow"]] = furrow * (1.0 - smile)
    motion[:, INDEX["frown"]] = 0.35 * furrow * (1.0 - np.clip(3.0 * smile, 0.0, 1.0))
