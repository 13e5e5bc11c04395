"""What can be measured on motion: does the mouth follow the voice, does the face answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLES_PER_FRAME

Series = NDArray[np.floating[Any]]

SPEECH_DB = -45.0
MAX_LAG_FRAMES = 5
ANSWER_WITHIN_S = 1.5
SMILE_RISE = 0.12


def loudness(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Level of each frame of sound ``[640 T]`` in dB relative to full scale: ``[T]``."""
    frames = audio.reshape(-1, SAMPLES_PER_FRAME).astype(np.float64)
    return (10.0 * np.log10(np.square(frames).mean(axis=1) + 1e-10)).astype(np.float32)


def pearson(a: Series, b: Series) -> float:
    """Pearson's correlation of two series; 0 where one of them is constant."""
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def best_lag(moved: Series, told: Series, most: int = MAX_LAG_FRAMES) -> tuple[float, int]:
    """Highest correlation of two series of T frames and the lag of `moved` at which it stands."""
    results = []
    for lag in range(-most, most + 1):
        a = moved[max(0, lag) : len(moved) + min(0, lag)]
        b = told[max(0, -lag) : len(told) + min(0, -lag)]
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
    """The avatar smiled soon after the user did: both times in seconds of media time."""

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
    """The user's smiles that the avatar's smile answered; coefficients ``[T, K]`` of both.

    An answer belongs to the last cause before it, and to no other.
    """
    causes = onsets(smile(user), SMILE_RISE)
    out: dict[int, Reaction] = {}
    for answer in onsets(smile(avatar), SMILE_RISE):
        before = [c for c in causes if 0 < answer - c <= ANSWER_WITHIN_S * FRAME_RATE_HZ]
        if before and before[-1] not in out:
            cause = before[-1]
            out[cause] = Reaction("smile", cause / FRAME_RATE_HZ, answer / FRAME_RATE_HZ)
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
