"""Where the eyes look and when they blink."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.curves import (
    Curve,
    band_noise,
    bump,
    frame_times,
    low_pass,
    soft,
)
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.turns import Speech

_SACCADE_S = 0.05


def add_eyes(
    rng: np.random.Generator,
    style: PersonStyle,
    motion: Curve,
    own: Speech,
    partner: Speech,
    partner_motion: NDArray[np.float32] | None,
) -> list[float]:
    """Add gaze and blinks to `motion` ``[T, K]`` in place; return the starts of the blinks.

    With `partner_motion` the gaze follows the partner's face.
    """
    frames = len(motion)
    where = (
        partner_position(partner_motion) if partner_motion is not None else np.zeros((frames, 2))
    )
    rests = fixations(rng, style, own, frames)
    target, contact = gaze_curves(rests, where, frames)
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
    blinks = blink_times(rng, style, own, partner, rests, frames)
    lids = lid_curves(rng, blinks, frames)
    squint = 0.25 * motion[:, INDEX["cheek_raise"]]  # felt smiles narrow the eyes
    lowered = stats.LID_FOLLOWS_GAZE * np.maximum(-motion[:, INDEX["gaze_y"]], 0.0)
    squint = np.maximum(squint, lowered)
    motion[:, INDEX["blink_left"]] = np.maximum(lids[:, 0], squint)
    motion[:, INDEX["blink_right"]] = np.maximum(lids[:, 1], squint)
    return blinks


def partner_position(partner_motion: NDArray[np.float32]) -> NDArray[np.float64]:
    """Where the partner's face is, as a gaze target ``[T, 2]`` (x to one's own left, y up)."""
    # opposite each other: the partner's left is on one's own right
    x = -stats.GAZE_FOLLOW_GAIN * partner_motion[:, INDEX["head_x"]]
    y = stats.GAZE_FOLLOW_GAIN * partner_motion[:, INDEX["head_y"]]
    return low_pass(np.stack([x, y], 1).astype(np.float64), 2.0, lag_s=0.08)


def fixations(
    rng: np.random.Generator, style: PersonStyle, own: Speech, frames: int
) -> list[tuple[float, float, float, bool]]:
    """``(start_s, x, y, at_partner)``: where the eyes rest, offsets from the partner's face."""
    duration_s = frames / FRAME_RATE_HZ
    speaking = own.active(frames)
    turn_starts = [s.start_s for s in own.of_kind("turn")]
    out: list[tuple[float, float, float, bool]] = []
    now_s = 0.0
    while now_s < duration_s:
        speaks = bool(speaking[min(int(now_s * FRAME_RATE_HZ), frames - 1)])
        contact = stats.GAZE_AT_PARTNER_SPEAKING if speaks else stats.GAZE_AT_PARTNER_LISTENING
        begins_turn = any(-0.2 < start_s - now_s < 0.3 for start_s in turn_starts)
        away = 1.0 - contact
        if begins_turn:
            away = max(away, stats.TURN_START_AVERSION)
        was_away = bool(out) and not out[-1][3]
        if not was_away and rng.random() < away * style.gaze_avoidance:
            size, angle = rng.uniform(*stats.AVERSION_SIZE), rng.uniform(-np.pi, np.pi)
            # people look to the side and down or up a little when thinking
            out.append((now_s, size * np.cos(angle), 0.6 * size * np.sin(angle), False))
            now_s += rng.uniform(*stats.AVERSION_S)
        else:
            x, y = rng.normal(0.0, stats.FIXATION_JITTER, 2)
            out.append((now_s, float(x), float(y), True))
            now_s += _until_next(rng, now_s, turn_starts)
    return out


def _until_next(rng: np.random.Generator, now_s: float, turn_starts: list[float]) -> float:
    """Duration of a fixation; it may end where a turn begins, so that eyes avert there."""
    wait_s = float(rng.uniform(*stats.FIXATION_S))
    for start_s in turn_starts:
        if now_s + 0.3 < start_s < now_s + wait_s and rng.random() < 0.7:
            return start_s - now_s + float(rng.uniform(-0.15, 0.1))
    return wait_s


def gaze_curves(
    rests: list[tuple[float, float, float, bool]], partner: Curve, frames: int
) -> tuple[Curve, Curve]:
    """Gaze target ``[T, 2]`` in rig units and a mask ``[T]`` of looking at the partner."""
    times_s = frame_times(frames)
    starts = np.array([rest[0] for rest in rests])
    which = np.clip(np.searchsorted(starts, times_s, side="right") - 1, 0, None)
    xy = np.array([rest[1:3] for rest in rests])
    at_partner = np.array([rest[3] for rest in rests], float)
    # a saccade lasts about one frame: blend within it
    u = np.clip((times_s - starts[which]) / _SACCADE_S, 0.0, 1.0)
    u[which == 0] = 1.0
    before = np.clip(which - 1, 0, None)
    target = xy[before] + (xy[which] - xy[before]) * u[:, None]
    contact = at_partner[before] + (at_partner[which] - at_partner[before]) * u
    return target + partner * contact[:, None], contact


def blink_times(
    rng: np.random.Generator,
    style: PersonStyle,
    own: Speech,
    partner: Speech,
    rests: list[tuple[float, float, float, bool]],
    frames: int,
) -> list[float]:
    """Starts of blinks: of themselves, at ends of phrases and with large gaze shifts."""
    duration_s = frames / FRAME_RATE_HZ
    wanted: list[float] = []
    mean_s = 60.0 / (0.62 * style.blinks_per_min)
    now_s = float(rng.exponential(mean_s))
    while now_s < duration_s:
        wanted.append(now_s)
        now_s += float(rng.gamma(2.0, mean_s / 2.0))
    for speech in (own, partner):
        for end in speech.phrase_ends():
            if rng.random() < stats.BLINK_AT_PHRASE_END * style.blinks_per_min / 16.0:
                wanted.append(end.time_s + float(rng.uniform(0.0, 0.3)))
    for previous, rest in pairwise(rests):
        if previous[3] != rest[3] and rng.random() < stats.BLINK_WITH_GAZE_SHIFT:
            wanted.append(rest[0] - 0.05)
    kept: list[float] = []
    for time_s in sorted(wanted):
        if not kept or time_s - kept[-1] > stats.BLINK_MIN_INTERVAL_S:
            kept.append(time_s)
    return [time_s for time_s in kept if time_s < duration_s]


def lid_curves(rng: np.random.Generator, blinks: list[float], frames: int) -> NDArray[np.float64]:
    """Left and right lid ``[T, 2]``, closed at 1."""
    times_s = frame_times(frames)
    lids = np.zeros((frames, 2))
    for start_s in blinks:
        close_s, hold_s, open_s = (
            rng.uniform(*span)
            for span in (stats.BLINK_CLOSE_S, stats.BLINK_HOLD_S, stats.BLINK_OPEN_S)
        )
        depth = rng.uniform(0.9, 1.0)
        near = slice(
            max(int(start_s * FRAME_RATE_HZ) - 1, 0),
            max(int((start_s + 0.5) * FRAME_RATE_HZ) + 2, 0),
        )
        curve = depth * bump(times_s[near], start_s, close_s, hold_s, open_s)
        lids[near] = np.maximum(lids[near], curve[:, None] * rng.uniform(0.96, 1.0, 2))
    return lids
