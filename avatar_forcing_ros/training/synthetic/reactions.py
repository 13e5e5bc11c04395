"""What one person does because of the other: nods, smiling back, brows, tilts, mirrored pose.

All delays, probabilities and gains are rows of ``statistics``; the caller gives what the person
hears (the partner's speech) and, where it sees the partner, what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX, POSE, POSE_COUNT
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.curves import low_pass
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.turns import Speech

# face to face, a mirror image flips what is left-right
_MIRROR = np.array([-1.0, 1.0, -1.0, -1.0, 1.0, 0.6])


@dataclass(frozen=True)
class Act:
    """One act of a face: `kind` (nod, smile, laugh, brow, tilt, furrow), when, how much.

    `caused_by_s` is the time of the partner's act or phrase end that it answers, None if of
    itself; `hold_s` is used by acts that last.
    """

    kind: str
    start_s: float
    size: float
    hold_s: float = 0.0
    caused_by_s: float | None = None


@dataclass(frozen=True)
class Seen:
    """What a person sees of the partner: the motion ``[T, K]`` and the smiles and laughs in it."""

    motion: NDArray[np.float32]
    acts: tuple[Act, ...]


def listen(
    rng: np.random.Generator, style: PersonStyle, partner: Speech, own: Speech
) -> list[Act]:
    """Acts that answer what is heard: nods, raised brows and tilts at the partner's phrases."""
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
    """Smiles that answer the partner's smiles (if seen) and laughs (seen or heard)."""
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


def partner_position(partner_motion: NDArray[np.float32]) -> NDArray[np.float64]:
    """Where the partner's face is, as a gaze target ``[T, 2]`` (x to one's own left, y up)."""
    assert partner_motion.shape[1] >= POSE_COUNT
    # opposite each other: the partner's left is on one's own right
    x = -stats.GAZE_FOLLOW_GAIN * partner_motion[:, INDEX["head_x"]]
    y = stats.GAZE_FOLLOW_GAIN * partner_motion[:, INDEX["head_y"]]
    return low_pass(np.stack([x, y], 1).astype(np.float64), 2.0, lag_s=0.08)


def _speaking_at(speech: Speech, time_s: float) -> bool:
    return any(s.start_s <= time_s < s.end_s for s in speech.of_kind("turn"))
