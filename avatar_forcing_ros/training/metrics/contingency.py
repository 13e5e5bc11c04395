"""Whether a listener answers *this* user: what follows what the user does, and what comes anyway.

For each kind of event (a nod, a smile, the end of a phrase …) the response rate is the share of
events after which the avatar does what answers them, 0.3 to 1.3 s later. The base rate is the same
share for moments of the same clips without such an event, in which the user speaks or is silent as
at the events. An avatar that nods by itself has both alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.metrics import behaviour
from avatar_forcing_ros.training.metrics.bootstrap import Array, Metric, ratio, share

Motion = NDArray[np.floating[Any]]  # [T, K] rig coefficients
ANSWER_S = (0.3, 1.3)
APART_S = 1.0  # events of a kind that follow sooner are one
MOMENT_S = 0.2  # moments without an event are looked at so often
LAG_FRAMES = round(1.5 * FRAME_RATE_HZ)
SHIFTS = (0.25, 0.4, 0.6, 0.75)  # of a clip: the user's motion in a circle, as a control
SMILE_RISE, BROW_RISE, LAUGH_RISE, LEAN_RISE = 0.12, 0.2, 0.15, 0.02  # of an answer
NOD_RAD = 0.04  # of an answer: heads sway by less
CLEAR_SMILE, CLEAR_BROW, CLEAR_NOD_RAD = 0.25, 0.45, 0.06  # what is to be answered
PHRASE_S, PAUSE_S = 0.5, 0.2  # so much speech, then so much silence
FAINT_PHRASE_S, FAINT_PAUSE_S = 0.2, 0.12  # what may be a phrase's end to who listens
CHANNELS = ("head_yaw", "head_pitch", "head_roll", "smile", "brow")  # that users may share


@dataclass(frozen=True)
class ListeningClip:
    """T frames of a user, and of an avatar that listens."""

    user: Motion  # [T, K] as tracked
    avatar: Motion  # [T, K]
    user_speaking: NDArray[np.bool_]  # [T]
    laughs_s: Sequence[float] = ()  # when the user begins to laugh


Events = Callable[[ListeningClip], Sequence[float]]
Series = Callable[[ListeningClip], NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class Contingency:
    """One kind of event and of answer: when they happen, and the series that are correlated."""

    name: str
    events: Events  # seconds
    answers: Events
    cause: Series  # [T]
    effect: Series  # [T]
    heard: bool = False  # measured on users whose face is hidden
    faint: Events | None = None  # what may be one, so that such a moment is not without an event


def channel(values: Motion, name: str) -> NDArray[np.floating[Any]]:
    """A coefficient, or the mean of both sides of a "smile" or "brow": ``[T]``."""
    sides = {"smile": ("smile_left", "smile_right"), "brow": ("brow_up_left", "brow_up_right")}
    return values[:, [INDEX[side] for side in sides.get(name, (name,))]].mean(axis=1)


def _begin(values: Motion, name: str, rise: float, within_s: float = 0.5) -> list[float]:
    """Times at which a channel begins to rise by `rise` or more within `within_s`."""
    found = behaviour.onsets(channel(values, name), rise, within_s)
    return [frame / FRAME_RATE_HZ for frame in found]


def _rise(values: Motion, name: str, rise: float) -> list[float]:
    """Times at which such a rise has come to `rise`: it can be seen."""
    series = channel(values, name)
    out = []
    for begin in behaviour.onsets(series, rise, 0.5):
        # it has begun when a quarter of it is done
        seen = np.flatnonzero(series[begin:] >= series[begin] + 0.75 * rise)
        out.append((begin + int(seen[0]) if len(seen) else begin) / FRAME_RATE_HZ)
    return out


def _nods_at(clip: ListeningClip) -> list[float]:
    """The user's nods in silence: who talks moves the head for other reasons."""
    quiet = ~behaviour.near(clip.user_speaking, round(0.3 * FRAME_RATE_HZ))
    found = behaviour.nods(clip.user, CLEAR_NOD_RAD)
    return [time_s for time_s in found if quiet[round(time_s * FRAME_RATE_HZ)]]


def leans(values: Motion) -> list[float]:
    """Times at which a head begins to move aside or nearer by 2 % of a face's width or more."""
    sides = [
        sign * values[:, INDEX[name]] for name in ("head_x", "head_scale") for sign in (1.0, -1.0)
    ]
    found = [frame for series in sides for frame in behaviour.onsets(series, LEAN_RISE, 1.0)]
    return [frame / FRAME_RATE_HZ for frame in sorted(found)]


def phrase_ends(
    speaking: NDArray[np.bool_], phrase_s: float = PHRASE_S, pause_s: float = PAUSE_S
) -> list[float]:
    """Times at which `phrase_s` of speech or more ends in a pause of `pause_s` or more."""
    pauses = [(a, b) for a, b in behaviour.runs(~speaking) if a > 0]
    long_enough = [(a, b) for a, b in pauses if b - a >= pause_s * FRAME_RATE_HZ]
    before = round(phrase_s * FRAME_RATE_HZ)
    # small gaps are no ends: most of the time before is speech
    return [
        a / FRAME_RATE_HZ for a, _ in long_enough if speaking[max(0, a - before) : a].mean() > 0.7
    ]


def _faint_ends(clip: ListeningClip) -> list[float]:
    return phrase_ends(clip.user_speaking, FAINT_PHRASE_S, FAINT_PAUSE_S)


def _ends_series(clip: ListeningClip) -> NDArray[np.floating[Any]]:
    """Bumps of 0.4 s at the phrase ends ``[T]``."""
    out = np.zeros(len(clip.user_speaking))
    for time_s in phrase_ends(clip.user_speaking):
        out[round(time_s * FRAME_RATE_HZ) : round((time_s + 0.4) * FRAME_RATE_HZ)] = 1.0
    return out


def _of_user(name: str) -> Series:
    return lambda clip: channel(clip.user, name)


def _of_avatar(name: str) -> Series:
    return lambda clip: channel(clip.avatar, name)


CONTINGENCIES = (
    Contingency(
        "smile_to_smile",
        lambda clip: _begin(clip.user, "smile", CLEAR_SMILE),
        lambda clip: _rise(clip.avatar, "smile", SMILE_RISE),
        _of_user("smile"),
        _of_avatar("smile"),
        faint=lambda clip: _begin(clip.user, "smile", SMILE_RISE),
    ),
    Contingency(
        "nod_to_nod",
        _nods_at,
        lambda clip: behaviour.nods(clip.avatar, NOD_RAD),
        _of_user("head_pitch"),
        _of_avatar("head_pitch"),
        # a phrase's end is answered by a nod, too
        faint=lambda clip: [*behaviour.nods(clip.user), *_faint_ends(clip)],
    ),
    Contingency(
        "brow_to_brow",
        lambda clip: _begin(clip.user, "brow", CLEAR_BROW),
        lambda clip: _rise(clip.avatar, "brow", BROW_RISE),
        _of_user("brow"),
        _of_avatar("brow"),
        faint=lambda clip: _begin(clip.user, "brow", BROW_RISE),
    ),
    Contingency(
        "laugh_to_laugh",
        lambda clip: clip.laughs_s,
        lambda clip: _rise(clip.avatar, "upper_lip_raise", LAUGH_RISE),
        _of_user("upper_lip_raise"),
        _of_avatar("upper_lip_raise"),
    ),
    Contingency(
        "gaze_to_gaze",
        lambda clip: behaviour.gaze_shifts(clip.user),
        lambda clip: behaviour.gaze_shifts(clip.avatar),
        _of_user("gaze_x"),
        _of_avatar("gaze_x"),
    ),
    Contingency(
        "lean_to_lean",
        lambda clip: leans(clip.user),
        lambda clip: leans(clip.avatar),
        _of_user("head_x"),
        _of_avatar("head_x"),
    ),
    Contingency(
        "roll_to_roll",
        lambda clip: turns(clip.user, "head_roll"),
        lambda clip: turns(clip.avatar, "head_roll"),
        _of_user("head_roll"),
        _of_avatar("head_roll"),
    ),
    Contingency(
        "phrase_end_to_nod",
        lambda clip: phrase_ends(clip.user_speaking),
        lambda clip: behaviour.nods(clip.avatar, NOD_RAD),
        _ends_series,
        _of_avatar("head_pitch"),
        heard=True,
        faint=_faint_ends,
    ),
)


def turns(values: Motion, name: str) -> list[float]:
    """Times at which an angle begins to change by 3 degrees or more within 0.8 s."""
    least = np.radians(3.0)
    series = channel(values, name)
    found = [k for sign in (1.0, -1.0) for k in behaviour.onsets(sign * series, least, 0.8)]
    return [frame / FRAME_RATE_HZ for frame in sorted(found)]


def response_rates(kind: Contingency, clips: Sequence[ListeningClip]) -> tuple[Metric, Metric]:
    """The response rate and the base rate, each NaN where there are no events.

    That is the share of events that are answered, and the same share of moments without an event,
    the user speaking as often as at the events.
    """
    counted = np.array([_counts(kind, clip) for clip in clips])  # [C, 2, 4]

    def base(totals: Array) -> Array:
        hits_events, moments = totals.reshape(-1, 2, 4), []
        for speaks in range(2):
            events, answered, free = (hits_events[:, speaks, k] for k in (1, 2, 3))
            # a state that has no free moments tells nothing
            moments.append((np.where(free > 0, events, 0.0), ratio(answered, free)))
        weights = sum(weight for weight, _ in moments)
        rates = sum(weight * np.nan_to_num(rate) for weight, rate in moments)
        return ratio(np.asarray(rates), np.asarray(weights))

    return share(counted[:, :, :2].sum(axis=1)), Metric(counted.reshape(len(counted), -1), base)


def _counts(kind: Contingency, clip: ListeningClip) -> Array:
    """``[2, 4]``, of moments in which the user is silent and speaks.

    Answered events, events, answered moments without an event, such moments.
    """
    first, last = (round(s * FRAME_RATE_HZ) for s in ANSWER_S)
    frames = len(clip.user_speaking)
    begins = np.zeros(frames, bool)
    for time_s in kind.answers(clip):
        begins[min(round(time_s * FRAME_RATE_HZ), frames - 1)] = True
    events: list[int] = []
    for time_s in sorted(kind.events(clip)):
        frame = round(time_s * FRAME_RATE_HZ)
        if not events or frame - events[-1] >= APART_S * FRAME_RATE_HZ:
            events.append(frame)
    usable = frames - last
    taken = np.zeros(frames, bool)
    faint = [round(time_s * FRAME_RATE_HZ) for time_s in kind.faint(clip)] if kind.faint else []
    for frame in (*events, *faint):
        # neither the answer to an event nor what would be one to the next
        taken[max(0, frame - last) : frame + last] = True
    step = round(MOMENT_S * FRAME_RATE_HZ)
    moments = [frame for frame in range(0, usable, step) if not taken[frame]]
    speaking = behaviour.near(clip.user_speaking, first)
    out = np.zeros((2, 4))
    for k, frames_of in ((0, events), (2, moments)):
        for frame in frames_of:
            if frame < usable:
                row = int(speaking[frame])
                out[row, k] += begins[frame + first : frame + last + 1].any()
                out[row, k + 1] += 1.0
    return out


def peak_correlation(
    kind: Contingency, clips: Sequence[ListeningClip], shift: float = 0.0
) -> float:
    """Pearson's r of the effect with its cause at the lag, 0 … 1.5 s, where it is greatest.

    Pooled over clips, each one's mean taken out. `shift` moves the cause in a circle by that
    share of a clip, which leaves no answer: what r is then comes by chance.
    """
    sums = np.zeros((LAG_FRAMES + 1, 3))
    for clip in clips:
        x = np.asarray(kind.cause(clip), np.float64)
        y = np.asarray(kind.effect(clip), np.float64)
        x = np.roll(x, round(shift * len(x)))
        x, y = x - x.mean(), y - y.mean()
        for lag in range(LAG_FRAMES + 1):
            a, b = x[: len(x) - lag], y[lag:]
            sums[lag] += (a @ b, a @ a, b @ b)
    size = np.sqrt(sums[:, 1] * sums[:, 2])
    r = np.divide(sums[:, 0], size, out=np.zeros(len(sums)), where=size > 1e-9)
    return float(r[np.abs(r).argmax()])


def control_correlation(kind: Contingency, clips: Sequence[ListeningClip]) -> float:
    """The mean size of that r by chance."""
    return float(np.mean([abs(peak_correlation(kind, clips, shift)) for shift in SHIFTS]))


def similarity(avatars: Sequence[Motion], name: str) -> Array:
    """How alike a channel of one listener is before different users: for each, ``[U]``.

    The mean of Pearson's r with the motion before the others. `avatars` ``[T, K]`` each, as many
    as users, all with the same draws of its own.
    """
    series = np.stack([channel(values, name).astype(np.float64) for values in avatars])
    series -= series.mean(axis=1, keepdims=True)
    size = np.linalg.norm(series, axis=1, keepdims=True)
    unit = np.divide(series, size, out=np.zeros_like(series), where=size > 1e-9)
    others = unit.sum(axis=0) - unit
    return np.asarray((unit * others).sum(axis=1) / max(1, len(unit) - 1))
