"""One person's face and head through a conversation.

Acts of its own, reactions to the partner (nods, smiling back, brows, tilts, mirrored pose), the
mouth, sway and the eyes. All delays, probabilities and gains are rows of ``statistics``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, POSE, POSE_COUNT, clip
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.curves import (
    Curve,
    band_noise,
    bump,
    ease,
    frame_times,
    low_pass,
    nod,
    soft_activity,
)
from avatar_forcing_ros.training.synthetic.eyes import add_eyes
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.turns import Speech
from avatar_forcing_ros.training.synthetic.visemes import MOUTH_NAMES, mouth_curves

_MOUTH = [INDEX[name] for name in MOUTH_NAMES]
# face to face, a mirror image flips what is left-right
_MIRROR = np.array([-1.0, 1.0, -1.0, -1.0, 1.0, 0.6])


@dataclass(frozen=True)
class Act:
    """One act of a face: `kind` (nod, smile, laugh, brow, tilt, furrow), when, how much.

    `caused_by_s` is the time of the partner's act or phrase end that it reacts to, None if
    spontaneous; `hold_s` is used by acts that last.
    """

    kind: str
    start_s: float
    size: float
    hold_s: float = 0.0
    caused_by_s: float | None = None


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
    motion = np.zeros((frames, COUNT))
    acts = spontaneous_acts(rng, style, own, frames, loudness)
    acts += listen(rng, style, partner, own)
    partner_acts = visible.acts if visible else laughs_of(partner)
    acts += smile_back(rng, style, partner_acts)

    motion[:, _MOUTH] = mouth_curves(own.phonemes(), frames, style.articulation, loudness)
    motion[:, POSE] = sway(rng, style, own, partner, frames)
    attention = 1.0 - 0.5 * soft_activity(own.active(frames), 0.5)
    if visible:
        motion[:, POSE] += mirrored_pose(style, visible.motion, attention)
    add_acts(rng, style, own, motion, acts)
    partner_motion = visible.motion if visible else None
    blinks_s = add_eyes(rng, style, motion, own, partner, partner_motion)
    return Performance(clip(motion), tuple(sorted(acts, key=lambda act: act.start_s)), blinks_s)


def laughs_of(speech: Speech) -> tuple[Act, ...]:
    """A person's audible laughs as acts."""
    return tuple(
        Act("laugh", s.start_s, 0.8, s.utterance.duration_s) for s in speech.of_kind("laugh")
    )


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
    for _ in range(rng.poisson(style.silent_smiles_per_min * minutes)):
        time_s = rng.uniform(0.0, frames / FRAME_RATE_HZ)
        size = rng.uniform(*stats.SMILE_SIZE)
        acts.append(Act("smile", time_s, size, rng.uniform(*stats.SMILE_HOLD_S)))
    for _ in range(rng.poisson(stats.FURROWS_PER_MIN * minutes)):
        time_s = rng.uniform(0.0, frames / FRAME_RATE_HZ)
        acts.append(Act("furrow", time_s, rng.uniform(*stats.FURROW_SIZE), rng.uniform(0.4, 1.5)))
    return acts


def listen(
    rng: np.random.Generator, style: PersonStyle, partner: Speech, own: Speech
) -> list[Act]:
    """Reactions to the partner's speech: nods, raised brows and tilts at the partner's phrases."""
    acts = []
    for end in partner.phrase_ends():
        if _speaking_at(own, end.time_s - 0.3):
            continue  # overlapped: nobody listens
        start_s = end.time_s + rng.uniform(*stats.NOD_DELAY_S)
        about_to_speak = _speaking_at(own, start_s + stats.NOD_CLEAR_OF_SPEECH_S)
        if not about_to_speak and rng.random() < style.nod_probability:
            size = rng.uniform(*stats.NOD_RAD) * style.expressiveness
            acts.append(Act("nod", start_s, size, caused_by_s=end.time_s))
        if end.question and rng.random() < stats.QUESTION_BROW_PROBABILITY:
            start_s = end.time_s + rng.uniform(*stats.QUESTION_BROW_DELAY_S)
            size = rng.uniform(*stats.QUESTION_BROW) * style.expressiveness
            acts.append(Act("brow", start_s, size, rng.uniform(0.2, 0.9), end.time_s))
    for segment in partner.of_kind("turn"):
        if segment.utterance.duration_s > 2.0 and rng.random() < stats.TILT_PROBABILITY:
            start_s = segment.start_s + rng.uniform(*stats.TILT_DELAY_S)
            size = rng.uniform(*stats.TILT_RAD) * rng.choice([-1.0, 1.0])
            hold_s = rng.uniform(*stats.TILT_HOLD_S)
            acts.append(Act("tilt", start_s, size, hold_s, segment.start_s))
    return acts


def smile_back(
    rng: np.random.Generator, style: PersonStyle, partner_acts: tuple[Act, ...]
) -> list[Act]:
    """Smiles in response to the partner's smiles and laughs."""
    acts = []
    for act in partner_acts:
        if act.kind not in ("smile", "laugh") or rng.random() > style.smile_back_probability:
            continue
        start_s = act.start_s + rng.uniform(*stats.SMILE_BACK_DELAY_S)
        size = act.size * rng.uniform(*stats.SMILE_BACK_GAIN) * style.expressiveness
        hold_s = 0.8 * act.hold_s + rng.uniform(0.2, 1.0)
        acts.append(Act("smile", start_s, float(np.clip(size, 0.15, 0.95)), hold_s, act.start_s))
    return acts


def mirrored_pose(
    style: PersonStyle, partner_motion: NDArray[np.float32], attention: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pose ``[T, 6]`` copied from the partner's: late, smooth, partial, as in a mirror."""
    pose = partner_motion[:, POSE].astype(np.float64) * _MIRROR
    slow = low_pass(pose, stats.MIRROR_CUTOFF_HZ, lag_s=0.4 * style.mirror_lag_s)
    return style.mirror_gain * attention[:, None] * slow  # [T, 6]


def _speaking_at(speech: Speech, time_s: float) -> bool:
    return any(s.start_s <= time_s < s.end_s for s in speech.of_kind("turn"))


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


def add_acts(
    rng: np.random.Generator, style: PersonStyle, own: Speech, motion: Curve, acts: list[Act]
) -> None:
    """Add the acts of a person who speaks `own` to `motion` ``[T, K]`` in place."""
    frames = len(motion)
    times_s = frame_times(frames)
    smile = np.full(frames, style.base_smile)
    cheek, brow, furrow, teeth = (np.zeros(frames) for _ in range(4))
    for act in acts:
        if act.kind == "nod":
            cycles = int(rng.integers(stats.NOD_CYCLES[0], stats.NOD_CYCLES[1] + 1))
            fastest_hz = stats.NOD_SPEED_RAD_S / (np.pi * act.size)
            rate_hz = min(rng.uniform(*stats.NOD_HZ), fastest_hz)
            motion[:, INDEX["head_pitch"]] += act.size * nod(times_s, act.start_s, cycles, rate_hz)
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
    smile *= 1.0 + stats.SMILE_TREMOR * band_noise(rng, frames, (0.1, 2.0))
    smile *= 1.0 - (1.0 - stats.SMILE_WHILE_SPEAKING) * soft_activity(own.active(frames), 0.4)
    brow *= 1.0 + stats.BROW_TREMOR * band_noise(rng, frames, (0.3, 3.0))
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
