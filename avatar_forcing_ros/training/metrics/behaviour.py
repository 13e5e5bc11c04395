"""What a face does: the mouth with the audio, smile reactions, nods, blinks, gaze shifts.

Detectors on coefficients and audio first, then rates over clips that can be compared with what is
published of people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.metrics.bootstrap import Metric, mean_of, share

Series = NDArray[np.floating[Any]]

SPEECH_DB = -45.0
MAX_LAG_FRAMES = 5
REACTION_WITHIN_S = 1.5
SMILE_RISE = 0.12
GAZE_SHIFT = 0.12  # gaze units within two frames
GAZE_SHIFT_REST_S = 0.2
LISTENING_FOR_S = 1.0


def loudness(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Level of each frame of audio ``[640 T]`` in dB relative to full scale: ``[T]``."""
    frames = audio.reshape(-1, SAMPLES_PER_FRAME).astype(np.float64)
    return (10.0 * np.log10(np.square(frames).mean(axis=1) + 1e-10)).astype(np.float32)


def pearson(a: Series, b: Series) -> float:
    """Pearson's correlation of two series; 0 where one of them is constant."""
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def best_lag(moved: Series, reference: Series, max_lag: int = MAX_LAG_FRAMES) -> tuple[float, int]:
    """Highest correlation of two series of T frames and the lag of `moved` at which it stands."""
    results = []
    for lag in range(-max_lag, max_lag + 1):
        a = moved[max(0, lag) : len(moved) + min(0, lag)]
        b = reference[max(0, -lag) : len(reference) + min(0, -lag)]
        results.append((pearson(a, b), lag))
    return max(results)


def mouth_opening(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the lips are apart, from coefficients ``[T, K]``: ``[T]``."""
    jaw, closed = values[:, INDEX["jaw_open"]], values[:, INDEX["lips_close"]]
    parted = values[:, INDEX["lower_lip_down"]] + values[:, INDEX["upper_lip_raise"]]
    return (jaw + 0.25 * parted) * (1.0 - np.clip(closed, 0.0, 1.0))


def mouth_speech_r(values: NDArray[np.float32], audio: NDArray[np.float32]) -> tuple[float, int]:
    """Correlation of mouth opening and loudness, and its lag in frames (positive: mouth late).

    `values` ``[T, K]``, `audio` ``[640 T]``. Loudness counts from the threshold of speech up.
    """
    level = np.maximum(loudness(audio) - SPEECH_DB, 0.0)
    return best_lag(mouth_opening(values), level)


@dataclass(frozen=True)
class Reaction:
    """The avatar smiled soon after the user did; both times in seconds."""

    kind: str
    user_s: float
    avatar_s: float

    @property
    def delay_ms(self) -> float:
        return round((self.avatar_s - self.user_s) * 1000.0, 1)


def smile(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean smile of both sides ``[T]``."""
    return values[:, [INDEX["smile_left"], INDEX["smile_right"]]].mean(axis=1)


def onsets(series: Series, rise: float, within_s: float = 0.5) -> list[int]:
    """Frames at which a rise of at least `rise` within `within_s` has begun (by a quarter)."""
    span = int(within_s * FRAME_RATE_HZ)
    found: list[int] = []
    i = 0
    while i < len(series) - 1:
        top = _peak(series, i, span)
        if series[i : i + span + 1].max() - series[i] >= rise and series[i + 1] > series[i]:
            begun = series[i : top + 1] - series[i] >= 0.25 * rise
            found.append(i + int(begun.argmax()))
            i = top
        else:
            i += 1
    return found


def _peak(series: Series, start: int, span: int) -> int:
    """Where a rise from `start` ends: the first frame that none of the `span` after it tops."""
    top = start
    while True:
        higher = top + int(series[top : top + span + 1].argmax())
        if higher == top:
            return top
        top = higher


def smile_reactions(user: NDArray[np.float32], avatar: NDArray[np.float32]) -> list[Reaction]:
    """The avatar's smiles that react to the user's; coefficients ``[T, K]`` of both.

    A reaction belongs to the last cause before it, and to no other.
    """
    causes = onsets(smile(user), SMILE_RISE)
    out: dict[int, Reaction] = {}
    for start in onsets(smile(avatar), SMILE_RISE):
        before = [c for c in causes if 0 < start - c <= REACTION_WITHIN_S * FRAME_RATE_HZ]
        if before and before[-1] not in out:
            cause = before[-1]
            out[cause] = Reaction("smile", cause / FRAME_RATE_HZ, start / FRAME_RATE_HZ)
    return list(out.values())


def nods(values: NDArray[np.float32], depth_rad: float = 0.03) -> list[float]:
    """Times in seconds at which the head dips by `depth_rad` and comes back within 0.8 s."""
    pitch = values[:, INDEX["head_pitch"]]
    half = int(0.4 * FRAME_RATE_HZ)
    found: list[float] = []
    for i in range(half, len(pitch) - half):
        around = pitch[i - half : i + half + 1]
        dips = (
            pitch[i] == around.max()
            and pitch[i] - max(around[:half].min(), around[half + 1 :].min()) >= depth_rad
        )
        if dips and (not found or i / FRAME_RATE_HZ - found[-1] > 0.3):
            found.append(i / FRAME_RATE_HZ)
    return found


def blinks(values: NDArray[np.float32], closed: float = 0.5) -> list[float]:
    """Times in seconds at which both lids begin to be closed by more than `closed`."""
    lids = values[:, [INDEX["blink_left"], INDEX["blink_right"]]].min(axis=1) > closed
    starts = np.flatnonzero(lids[1:] & ~lids[:-1]) + 1
    return [float(i) / FRAME_RATE_HZ for i in starts]


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `marked` ``[T]`` holds: spans ``(start, stop)`` in order."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def near(marked: NDArray[np.bool_], reach_frames: int) -> NDArray[np.bool_]:
    """Frames ``[T]`` that are no more than `reach_frames` away from one that is `marked`."""
    window = np.ones(2 * reach_frames + 1)
    return np.convolve(marked, window)[reach_frames : reach_frames + len(marked)] > 0


@dataclass(frozen=True)
class Clip:
    """T frames: the motion of two faces, and who speaks when."""

    avatar: NDArray[np.float32]  # [T, K]
    user: NDArray[np.float32]  # [T, K]
    avatar_speaking: NDArray[np.bool_]  # [T]
    user_speaking: NDArray[np.bool_]  # [T]

    @property
    def minutes(self) -> float:
        return len(self.avatar) / FRAME_RATE_HZ / 60.0


@dataclass(frozen=True)
class HumanMetric:
    """What is measured, in which unit, and what is published of people: where, and which range."""

    name: str
    unit: str
    measure: Callable[[Sequence[Clip]], Metric]
    published: tuple[float, float] | None = None
    source: str = ""


def blinks_per_min(clips: Sequence[Clip]) -> Metric:
    """Closures of both lids a minute."""
    return share(np.array([(len(blinks(c.avatar)), c.minutes) for c in clips]))


def nods_per_min(clips: Sequence[Clip]) -> Metric:
    """Nods a minute of listening: the user speaks or did within a second, the avatar does not."""
    return share(np.array([_nods(clip) for clip in clips]))


def _nods(clip: Clip) -> tuple[float, float]:
    listens = listening(clip)
    count = sum(listens[round(t * FRAME_RATE_HZ)] for t in nods(clip.avatar))
    return float(count), listens.sum() / FRAME_RATE_HZ / 60.0


def listening(clip: Clip) -> NDArray[np.bool_]:
    """Frames ``[T]`` in which the avatar listens."""
    reach = round(LISTENING_FOR_S * FRAME_RATE_HZ)
    lately = np.convolve(clip.user_speaking, np.ones(reach + 1))[: len(clip.user_speaking)] > 0
    return lately & ~clip.avatar_speaking


def gaze_shifts_per_min(clips: Sequence[Clip]) -> Metric:
    """Quick moves of the eyes a minute: 0.12 gaze units or more within two frames."""
    return share(np.array([(len(gaze_shifts(clip.avatar)), clip.minutes) for clip in clips]))


def gaze_shifts(motion: NDArray[np.float32]) -> list[float]:
    """Times in seconds at which the eyes move quickly: `GAZE_SHIFT` or more within two frames."""
    gaze = motion[:, [INDEX["gaze_x"], INDEX["gaze_y"]]]
    jumps = np.flatnonzero(np.hypot(*(gaze[2:] - gaze[:-2]).T) >= GAZE_SHIFT)
    rest = GAZE_SHIFT_REST_S * FRAME_RATE_HZ
    first = jumps[np.diff(jumps, prepend=-(10**6)) > rest]
    return [float(i) / FRAME_RATE_HZ for i in first]


def smile_reaction_lag_ms(clips: Sequence[Clip]) -> Metric:
    """Mean time from a user's smile to the avatar's reaction (within 1.5 s)."""
    delays = [[r.delay_ms for r in smile_reactions(c.user, c.avatar)] for c in clips]
    return share(np.array([(sum(d), len(d)) for d in delays], np.float64))


def head_speed_deg_s(clips: Sequence[Clip]) -> Metric:
    """Mean angular speed of the head in degrees a second."""
    angles = [INDEX[name] for name in ("head_yaw", "head_pitch", "head_roll")]
    turns = [np.diff(c.avatar[:, angles].astype(np.float64), axis=0) for c in clips]
    speeds = [np.linalg.norm(turn, axis=1).mean() * FRAME_RATE_HZ for turn in turns]
    return mean_of(np.degrees(speeds))


# published ranges: those that `synthetic.statistics` names, with their sources
HUMAN_METRICS = (
    HumanMetric(
        "blinks_per_min", "1/min", blinks_per_min, (17.0, 26.0),
        "Bentivoglio 1997: 17 at rest, 26 in conversation",
    ),
    HumanMetric(
        "nods_per_min_listening", "1/min", nods_per_min, (6.0, 10.0), "Maynard 1987, Yngve 1970"
    ),
    HumanMetric("gaze_shifts_per_min", "1/min", gaze_shifts_per_min),
    HumanMetric(
        "smile_reaction_lag_ms", "ms", smile_reaction_lag_ms, (300.0, 600.0),
        "Dimberg 1998, Hess & Bourgeois 2010",
    ),
    HumanMetric("head_speed_deg_s", "deg/s", head_speed_deg_s),
)  # fmt: skip
