"""What a person does because of the partner: acts that answer, and motion that mirrors.

Nothing here is left to chance that a person could not be asked for a reason for: delays, sizes and
who answers how often differ, but each act answers something that was seen or heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX, POSE
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.acts import Act
from avatar_forcing_ros.training.synthetic.curves import Curve, low_pass
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.turns import Speech

# face to face, a mirror image flips what is left-right
_MIRROR = np.array([-1.0, 0.6, -1.0, -1.0, 1.0, 0.6])
_BROWS = [INDEX["brow_up_left"], INDEX["brow_up_right"]]


def laughs_of(speech: Speech) -> tuple[Act, ...]:
    """A person's audible laughs as acts."""
    return tuple(
        Act("laugh", s.start_s, 0.8, s.utterance.duration_s) for s in speech.of_kind("laugh")
    )


def react(
    rng: np.random.Generator,
    style: PersonStyle,
    partner: Speech,
    own: Speech,
    partner_acts: Sequence[Act],
) -> list[Act]:
    """All acts that answer the partner's speech and `partner_acts`, as far as these are seen."""
    acts = listen(rng, style, partner, own)
    acts += answer(rng, style, partner_acts, own)
    return _rested(acts, style.nod_rest_s)


def listen(
    rng: np.random.Generator, style: PersonStyle, partner: Speech, own: Speech
) -> list[Act]:
    """Nods, raised brows, tilts and small beats of the head at what the partner says."""
    acts = []
    for end in partner.phrase_ends():
        if _speaking_at(own, end.time_s - 0.3):
            continue  # overlapped: nobody listens
        start_s = end.time_s + rng.uniform(*stats.NOD_DELAY_S)
        wanted = rng.random() < style.nod_probability
        size = rng.uniform(*stats.NOD_RAD) * style.expressiveness
        if wanted and not _about_to_speak(own, start_s):
            acts.append(Act("nod", start_s, size, caused_by_s=end.time_s))
        if end.question and rng.random() < stats.QUESTION_BROW_PROBABILITY:
            start_s = end.time_s + rng.uniform(*stats.QUESTION_BROW_DELAY_S)
            size = rng.uniform(*stats.QUESTION_BROW) * style.expressiveness
            acts.append(Act("brow", start_s, size, rng.uniform(0.2, 0.9), end.time_s))
    for time_s in partner.stresses_s():
        start_s = time_s + rng.uniform(*stats.BEAT_DELAY_S)
        size = rng.uniform(*stats.BEAT_RAD) * style.expressiveness
        if rng.random() < stats.BEAT_PROBABILITY and not _speaking_at(own, start_s):
            acts.append(Act("beat", start_s, size, caused_by_s=time_s))
    for segment in partner.of_kind("turn"):
        if segment.utterance.duration_s > 2.0 and rng.random() < stats.TILT_PROBABILITY:
            start_s = segment.start_s + rng.uniform(*stats.TILT_DELAY_S)
            size = rng.uniform(*stats.TILT_RAD) * rng.choice([-1.0, 1.0])
            hold_s = rng.uniform(*stats.TILT_HOLD_S)
            acts.append(Act("tilt", start_s, size, hold_s, segment.start_s))
    return acts


def answer(
    rng: np.random.Generator, style: PersonStyle, partner_acts: Sequence[Act], own: Speech
) -> list[Act]:
    """Acts in kind: smiles, laughs, nods and raised brows at the partner's own."""
    acts = []
    for act in partner_acts:
        delay_s = stats.NOD_BACK_DELAY_S if act.kind == "nod" else stats.ANSWER_DELAY_S
        start_s = act.start_s + rng.uniform(*delay_s)
        size = act.size * rng.uniform(*stats.ANSWER_GAIN) * style.expressiveness
        hold_s = 0.8 * act.hold_s + rng.uniform(0.2, 1.0)
        willing = rng.random()
        if act.kind in ("smile", "laugh") and willing < style.smile_back_probability:
            size = float(np.clip(size, 0.15, 0.95))
            acts.append(Act(act.kind, start_s, size, hold_s, act.start_s))
        elif act.kind == "nod" and willing < style.nod_back_probability:
            if not _about_to_speak(own, start_s):
                size = float(np.clip(size, stats.NOD_RAD[0], 1.2 * stats.NOD_RAD[1]))
                acts.append(Act("nod", start_s, size, caused_by_s=act.start_s))
        elif (
            act.kind == "brow"
            and act.size > stats.SEEN_BROW
            and willing < style.brow_back_probability
        ):
            acts.append(Act("brow", start_s, min(size, 0.9), hold_s, act.start_s))
    return acts


def mirrored_pose(
    style: PersonStyle, partner_motion: NDArray[np.float32], attention: Curve
) -> Curve:
    """Pose ``[T, 6]`` copied from the partner's: late, smooth, partial, as in a mirror."""
    pose = partner_motion[:, POSE].astype(np.float64) * _MIRROR
    slow = low_pass(pose, stats.MIRROR_CUTOFF_HZ, lag_s=0.4 * style.mirror_lag_s)
    return style.mirror_gain * attention[:, None] * slow


def mirrored_brows(style: PersonStyle, partner_motion: NDArray[np.float32]) -> Curve:
    """How far ``[T]`` one's own brows go with the partner's, beside those that answer."""
    brows = partner_motion[:, _BROWS].astype(np.float64).mean(axis=1)
    return style.mirror_gain * low_pass(
        brows, stats.MIRROR_BROW_CUTOFF_HZ, lag_s=stats.MIRROR_BROW_LAG_S
    )


def _rested(acts: Sequence[Act], rest_s: float) -> list[Act]:
    """Without the nods that come too soon after the one before: nobody nods without a break."""
    out: list[Act] = []
    last_s = -np.inf
    for act in sorted(acts, key=lambda one: one.start_s):
        if act.kind == "nod":
            if act.start_s - last_s < rest_s:
                continue
            last_s = act.start_s
        out.append(act)
    return out


def _speaking_at(speech: Speech, time_s: float) -> bool:
    return any(s.start_s <= time_s < s.end_s for s in speech.of_kind("turn"))


def _about_to_speak(speech: Speech, time_s: float) -> bool:
    return any(_speaking_at(speech, time_s + k) for k in (0.0, stats.NOD_CLEAR_OF_SPEECH_S))
