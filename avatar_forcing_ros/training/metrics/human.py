"""Figures that can be held against what is known of people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.metrics.behaviour import blinks, nods, smile_reactions
from avatar_forcing_ros.training.metrics.bootstrap import Measure, mean_of, share

Motion = NDArray[np.floating[Any]]  # [T, K] rig coefficients
GAZE_SHIFT = 0.12  # gaze units within two frames
GAZE_SHIFT_REST_S = 0.2
LISTENING_FOR_S = 1.0


@dataclass(frozen=True)
class Seen:
    """One clip of T frames: two faces, and who speaks when."""

    avatar: NDArray[np.float32]  # [T, K]
    user: NDArray[np.float32]  # [T, K]
    avatar_speaking: NDArray[np.bool_]  # [T]
    user_speaking: NDArray[np.bool_]  # [T]

    @property
    def minutes(self) -> float:
        return len(self.avatar) / FRAME_RATE_HZ / 60.0


@dataclass(frozen=True)
class HumanFigure:
    """What is measured, in which unit, and what is published of people: where, and which range."""

    name: str
    unit: str
    measure: Callable[[Sequence[Seen]], Measure]
    published: tuple[float, float] | None = None
    source: str = ""


def blinks_per_min(clips: Sequence[Seen]) -> Measure:
    """Closures of both lids a minute."""
    return share(np.array([(len(blinks(c.avatar)), c.minutes) for c in clips]))


def nods_per_min(clips: Sequence[Seen]) -> Measure:
    """Nods a minute of listening: the user speaks or did within a second, the avatar does not."""
    return share(np.array([_nods(clip) for clip in clips]))


def _nods(clip: Seen) -> tuple[float, float]:
    listens = listening(clip)
    count = sum(listens[round(t * FRAME_RATE_HZ)] for t in nods(clip.avatar))
    return float(count), listens.sum() / FRAME_RATE_HZ / 60.0


def listening(clip: Seen) -> NDArray[np.bool_]:
    """Frames ``[T]`` in which the avatar listens."""
    reach = round(LISTENING_FOR_S * FRAME_RATE_HZ)
    lately = np.convolve(clip.user_speaking, np.ones(reach + 1))[: len(clip.user_speaking)] > 0
    return lately & ~clip.avatar_speaking


def gaze_shifts_per_min(clips: Sequence[Seen]) -> Measure:
    """Quick moves of the eyes a minute: 0.12 gaze units or more within two frames."""
    return share(np.array([(_gaze_shifts(clip.avatar), clip.minutes) for clip in clips]))


def _gaze_shifts(motion: Motion) -> int:
    gaze = motion[:, [INDEX["gaze_x"], INDEX["gaze_y"]]]
    jumps = np.flatnonzero(np.hypot(*(gaze[2:] - gaze[:-2]).T) >= GAZE_SHIFT)
    rest = GAZE_SHIFT_REST_S * FRAME_RATE_HZ
    return int((np.diff(jumps, prepend=-(10**6)) > rest).sum())


def smile_reaction_lag_ms(clips: Sequence[Seen]) -> Measure:
    """Mean time from a user's smile to the avatar's that answers it (within 1.5 s)."""
    delays = [[r.delay_ms for r in smile_reactions(c.user, c.avatar)] for c in clips]
    return share(np.array([(sum(d), len(d)) for d in delays], np.float64))


def head_speed_deg_s(clips: Sequence[Seen]) -> Measure:
    """Mean angular speed of the head in degrees a second."""
    angles = [INDEX[name] for name in ("head_yaw", "head_pitch", "head_roll")]
    turns = [np.diff(c.avatar[:, angles].astype(np.float64), axis=0) for c in clips]
    speeds = [np.linalg.norm(turn, axis=1).mean() * FRAME_RATE_HZ for turn in turns]
    return mean_of(np.degrees(speeds))


# published ranges: those that `synthetic.statistics` names, with their sources
FIGURES = (
    HumanFigure(
        "blinks_per_min", "1/min", blinks_per_min, (17.0, 26.0),
        "Bentivoglio 1997: 17 at rest, 26 in conversation",
    ),
    HumanFigure(
        "nods_per_min_listening", "1/min", nods_per_min, (6.0, 10.0), "Maynard 1987, Yngve 1970"
    ),
    HumanFigure("gaze_shifts_per_min", "1/min", gaze_shifts_per_min),
    HumanFigure(
        "smile_reaction_lag_ms", "ms", smile_reaction_lag_ms, (300.0, 600.0),
        "Dimberg 1998, Hess & Bourgeois 2010",
    ),
    HumanFigure("head_speed_deg_s", "deg/s", head_speed_deg_s),
)  # fmt: skip
