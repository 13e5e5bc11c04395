"""One person's face and head through a conversation: everything put together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, POSE, POSE_COUNT, clip
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic import eyes, reactions
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.curves import (
    Curve,
    band_noise,
    bump,
    ease,
    frame_times,
    nod,
    soft,
    soft_activity,
)
from avatar_forcing_ros.training.synthetic.reactions import Act, Seen
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.turns import Speech
from avatar_forcing_ros.training.synthetic.visemes import MOUTH_NAMES, mouth_curves

_MOUTH = [INDEX[name] for name in MOUTH_NAMES]


def perform(
    rng: np.random.Generator,
    style: PersonStyle,
    own: Speech,
    partner: Speech,
    frames: int,
    loudness: NDArray[np.float64],
    seen: Seen | None = None,
) -> tuple[NDArray[np.float32], tuple[Act, ...], list[float]]:
    """The motion ``[T, K]`` float32 of a person, its acts and the starts of its blinks.

    With `seen`, the person also answers what it sees of the partner; without, only what it hears.
    `loudness` ``[T]`` is that of the own voice, 1 on average.
    """
    motion = np.zeros((frames, COUNT))
    acts = spontaneous_acts(rng, style, own, frames, loudness)
    acts += reactions.listen(rng, style, partner, own)
    partner_acts = seen.acts if seen else laughs_of(partner)
    acts += reactions.smile_back(rng, style, partner_acts)

    motion[:, _MOUTH] = mouth_curves(own.phonemes(), frames, style.articulation, loudness)
    motion[:, POSE] = sway(rng, style, own, partner, frames)
    attention = 1.0 - 0.5 * soft_activity(own.active(frames), 0.5)
    if seen:
        motion[:, POSE] += reactions.mirrored_pose(style, seen.motion, attention)
    add_acts(rng, style, own, motion, acts)
    blinks = add_eyes(rng, style, motion, own, partner, seen)
    return clip(motion), tuple(sorted(acts, key=lambda act: act.start_s)), blinks


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
        weight = np.clip(2.0 * loud - 1.0, 0.2, 2.0)  # emphasis can be heard
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


def sway(
    rng: np.random.Generator, style: PersonStyle, own: Speech, partner: Speech, frames: int
) -> Curve:
    """Head pose ``[T, 6]``: posture, movement while speaking (less while listening), breath."""
    speaking = soft_activity(own.active(frames), 0.35)
    listening = soft_activity(partner.active(frames), 0.35) * (1.0 - speaking)
    calm = 0.35 + 0.65 * np.clip(speaking + listening, 0.0, 1.0)
    pose = np.zeros((frames, POSE_COUNT))
    for k, name in enumerate(NAMES[:POSE_COUNT]):
        posture, moving, hearing = stats.SWAY[name]
        pose[:, k] = posture * calm * band_noise(rng, frames, stats.POSTURE_BAND_HZ)
        lively = moving * speaking + hearing * listening
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
    """Add the acts of a person who says `own` to `motion` ``[T, K]`` in place."""
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


def add_eyes(
    rng: np.random.Generator,
    style: PersonStyle,
    motion: Curve,
    own: Speech,
    partner: Speech,
    seen: Seen | None,
) -> list[float]:
    """Add gaze and blinks to `motion` ``[T, K]`` in place; return the starts of the blinks."""
    frames = len(motion)
    where = reactions.partner_position(seen.motion) if seen else np.zeros((frames, 2))
    rests = eyes.fixations(rng, style, own, frames)
    target, contact = eyes.gaze_curves(rests, where, frames)
    # the head goes a fifth of the way with an averted gaze, later than the eyes
    away = (contact < 0.5)[:, None] * target
    aside = np.stack([soft(away[:, k], 0.3) for k in range(2)], axis=1)
    motion[:, INDEX["head_yaw"]] += 0.2 * stats.GAZE_UNIT_RAD * aside[:, 0]
    motion[:, INDEX["head_pitch"]] -= 0.2 * stats.GAZE_UNIT_RAD * aside[:, 1]
    back = stats.EYE_COUNTER_ROTATION / stats.GAZE_UNIT_RAD
    drift = [band_noise(rng, frames, stats.GAZE_DRIFT_BAND_HZ) for _ in range(2)]
    target = target + stats.GAZE_DRIFT * np.stack(drift, axis=1)
    motion[:, INDEX["gaze_x"]] = target[:, 0] - back * motion[:, INDEX["head_yaw"]]
    motion[:, INDEX["gaze_y"]] = target[:, 1] + back * motion[:, INDEX["head_pitch"]]
    blinks = eyes.blink_times(rng, style, own, partner, rests, frames)
    lids = eyes.lid_curves(rng, blinks, frames)
    squint = 0.25 * motion[:, INDEX["cheek_raise"]]  # felt smiles narrow the eyes
    lowered = stats.LID_FOLLOWS_GAZE * np.maximum(-motion[:, INDEX["gaze_y"]], 0.0)
    squint = np.maximum(squint, lowered)
    motion[:, INDEX["blink_left"]] = np.maximum(lids[:, 0], squint)
    motion[:, INDEX["blink_right"]] = np.maximum(lids[:, 1], squint)
    return blinks
