"""One person's face and head through a conversation.

Acts of its own, reactions to the partner (``reactions``), the mouth, sway and the eyes. All
delays, probabilities and gains are rows of ``statistics``. What comes from the person is drawn
apart from what answers the partner: before somebody else the own motion is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, POSE, POSE_COUNT, clip
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.acts import Act, add_acts
from avatar_forcing_ros.training.synthetic.curves import (
    Curve,
    band_noise,
    ease,
    frame_times,
    soft_activity,
)
from avatar_forcing_ros.training.synthetic.eyes import add_eyes
from avatar_forcing_ros.training.synthetic.reactions import (
    laughs_of,
    mirrored_brows,
    mirrored_pose,
    react,
)
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.turns import Speech
from avatar_forcing_ros.training.synthetic.visemes import MOUTH_NAMES, mouth_curves

_MOUTH = [INDEX[name] for name in MOUTH_NAMES]


@dataclass(frozen=True)
class Performance:
    """One person's motion ``[T, K]``, the acts in it, and when its blinks start."""

    motion: NDArray[np.float32]
    acts: tuple[Act, ...]
    blinks_s: list[float]


def perform(
    rng: np.random.Generator,
    style: PersonStyle,
    own: Speech,
    partner: Speech,
    frames: int,
    loudness: NDArray[np.float64],
    visible: Performance | None = None,
) -> Performance:
    """What the face of a person does who speaks `own` while the other one speaks `partner`.

    With `visible`, the partner's performance, the person reacts to the partner's face as well.
    `loudness` ``[T]`` is that of the own speech, 1 on average.
    """
    own_rng, partner_rng, sway_rng, eyes_rng = rng.spawn(4)
    partner_acts = visible.acts if visible else laughs_of(partner)
    # its own acts first: what they draw does not depend on the others
    acts = spontaneous_acts(own_rng, style, own, frames, loudness)
    acts += react(partner_rng, style, partner, own, partner_acts)
    motion = np.zeros((frames, COUNT))
    motion[:, _MOUTH] = mouth_curves(own.phonemes(), frames, style.articulation, loudness)
    motion[:, POSE] = sway(sway_rng, style, own, partner, frames)
    brows = lively_brows(sway_rng, style, own, frames)
    if visible:
        attention = 1.0 - 0.5 * soft_activity(own.active(frames), 0.5)
        motion[:, POSE] += mirrored_pose(style, visible.motion, attention)
        brows += attention * mirrored_brows(style, visible.motion)
    add_acts(own_rng, style, own, motion, acts, brows)
    partner_motion = visible.motion if visible else None
    blinks_s = add_eyes(eyes_rng, style, motion, own, partner, partner_motion)
    return Performance(clip(motion), tuple(sorted(acts, key=lambda act: act.start_s)), blinks_s)


def spontaneous_acts(
    rng: np.random.Generator, style: PersonStyle, own: Speech, frames: int, loudness: Curve
) -> list[Act]:
    """Acts that come from the person: emphasis, friendly smiles, laughs, furrows of thought."""
    acts = [
        Act("laugh", act.start_s - rng.uniform(0.0, 0.08), rng.uniform(0.6, 0.95), act.hold_s)
        for act in laughs_of(own)
    ]
    for time_s in own.stresses_s():
        loud = loudness[min(int(time_s * FRAME_RATE_HZ), frames - 1)]
        weight = np.clip(2.0 * loud - 1.0, 0.2, 2.0)  # emphasis is audible
        if rng.random() < weight * stats.EMPHASIS_NOD_PROBABILITY:
            acts.append(Act("emphasis", time_s, rng.uniform(*stats.EMPHASIS_NOD_RAD)))
        if rng.random() < weight * stats.EMPHASIS_BROW_PROBABILITY:
            size = rng.uniform(*stats.EMPHASIS_BROW) * style.expressiveness
            acts.append(Act("brow", time_s - 0.05, size, rng.uniform(0.05, 0.3)))
    minutes = frames / FRAME_RATE_HZ / 60.0
    chances = [s.end_s - 0.3 for s in own.of_kind("turn") if s.ends_turn]
    chances += [s.start_s for s in own.of_kind("turn")]
    for time_s in chances:
        if rng.random() < style.smiles_per_min * minutes / max(len(chances), 3):
            size = rng.uniform(*stats.SMILE_SIZE) * style.expressiveness
            acts.append(Act("smile", time_s, min(size, 0.95), rng.uniform(*stats.SMILE_HOLD_S)))
    for kind, per_min, sizes, holds_s in (
        ("smile", style.silent_smiles_per_min, stats.SMILE_SIZE, stats.SMILE_HOLD_S),
        ("nod", style.unasked_nods_per_min, stats.NOD_RAD, (0.0, 0.0)),
        ("brow", style.unasked_brows_per_min, stats.UNASKED_BROW, stats.UNASKED_BROW_HOLD_S),
        ("furrow", stats.FURROWS_PER_MIN, stats.FURROW_SIZE, stats.FURROW_HOLD_S),
    ):
        for _ in range(rng.poisson(per_min * minutes)):
            time_s = rng.uniform(0.0, frames / FRAME_RATE_HZ)
            acts.append(Act(kind, time_s, rng.uniform(*sizes), rng.uniform(*holds_s)))
    return acts


def lively_brows(rng: np.random.Generator, style: PersonStyle, own: Speech, frames: int) -> Curve:
    """How far ``[T]`` brows are up without any act: they hardly rest, least of all in speech."""
    speaking = soft_activity(own.active(frames), 0.4)
    size = stats.BROW_LISTENING + (stats.BROW_SPEAKING - stats.BROW_LISTENING) * speaking
    alive = band_noise(rng, frames, stats.BROW_BAND_HZ)
    return size * style.expressiveness * np.maximum(alive, 0.0)


def sway(
    rng: np.random.Generator, style: PersonStyle, own: Speech, partner: Speech, frames: int
) -> Curve:
    """Head pose ``[T, 6]``: posture, movement while speaking (less while listening), breath."""
    speaking = soft_activity(own.active(frames), 0.35)
    listening = soft_activity(partner.active(frames), 0.35) * (1.0 - speaking)
    calm = 0.35 + 0.65 * np.clip(speaking + listening, 0.0, 1.0)
    pose = np.zeros((frames, POSE_COUNT))
    for k, name in enumerate(NAMES[:POSE_COUNT]):
        posture, moving, still = stats.SWAY[name]
        pose[:, k] = posture * calm * band_noise(rng, frames, stats.POSTURE_BAND_HZ)
        lively = moving * speaking + still * listening
        pose[:, k] += lively * band_noise(rng, frames, stats.MOVING_BAND_HZ)
    breath_hz = rng.uniform(*stats.BREATH_HZ)
    phase = rng.uniform(0.0, 2 * np.pi)
    breath = np.sin(2 * np.pi * breath_hz * frame_times(frames) + phase)
    pose *= style.sway
    for k in (INDEX["head_yaw"], INDEX["head_pitch"], INDEX["head_roll"]):
        pose[:, k] += stats.NEVER_STILL_RAD * band_noise(rng, frames, stats.NEVER_STILL_BAND_HZ)
    pose[:, INDEX["head_y"]] += stats.BREATH_HEAD_Y * breath
    pose[:, INDEX["head_pitch"]] += stats.BREATH_PITCH_RAD * breath
    return pose + posture_shifts(rng, style, frames)


def posture_shifts(rng: np.random.Generator, style: PersonStyle, frames: int) -> Curve:
    """Pose offsets ``[T, 6]`` of a person who sits differently every so often."""
    times_s = frame_times(frames)
    minutes = frames / FRAME_RATE_HZ / 60.0
    out = np.zeros((frames, POSE_COUNT))
    posture = np.zeros(POSE_COUNT)
    if style.shifts_per_min > 0:  # already sitting somehow at the start
        posture = 0.7 * _posture(rng)
        out += posture
    count = rng.poisson(style.shifts_per_min * minutes)
    for start_s in np.sort(rng.uniform(0.0, frames / FRAME_RATE_HZ, count)):
        new = _posture(rng)
        step = ease(times_s, start_s, rng.uniform(*stats.POSTURE_SHIFT_S))
        out += step[:, None] * (new - posture)
        posture = new
    return out


def _posture(rng: np.random.Generator) -> Curve:
    limit = stats.POSTURE_SHIFT_LIMIT
    return np.clip(rng.normal(size=POSE_COUNT), -limit, limit) * stats.POSTURE_SHIFT
