"""Which moments of a conversation are worth a closer look: found in the motion alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.training.metrics.behaviour import mouth_opening, smile
from avatar_forcing_ros.training.viewed_talk import ViewedTalk

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Moment:
    """`count` pictures, every `step_frames` from `first_frame` on, and why they are shown."""

    title: str
    first_frame: int
    step_frames: int
    count: int

    @property
    def frames(self) -> list[int]:
        return [self.first_frame + i * self.step_frames for i in range(self.count)]


def moments(talk: ViewedTalk, count: int = 15) -> list[Moment]:
    """Speaking, a nod, a smile, a look aside, listening and a generator's fastest turn.

    Each where the talk has most of it, at 5 pictures a second, quick things at 12.5. In a talk
    too short for `count` pictures there are fewer; without overlap while there is room.
    """
    told, user = talk.faces[0].motion, talk.faces[-1].motion
    slow, quick = 5, 2  # frames from one picture to the next
    mouth, other = _speed(mouth_opening(told)), _speed(mouth_opening(user))
    gaze = np.abs(told[:, [INDEX["gaze_x"], INDEX["gaze_y"]]]).sum(axis=1).astype(np.float64)
    wanted: list[tuple[str, Series, int]] = [
        ("speech", mouth, slow),
        ("nod", _speed(told[:, INDEX["head_pitch"]]), quick),
        ("smile", _speed(smile(told)), slow),
        ("gaze", _speed(gaze), quick),
        ("listening", other - 2.0 * mouth, slow),
    ]
    made = [face.motion for face in talk.faces if face.made]
    if made:
        turn = _speed(made[0][:, [INDEX["head_yaw"], INDEX["head_pitch"], INDEX["head_roll"]]])
        wanted.append(("fast turn", turn, quick))
    taken = np.zeros(talk.frames, bool)
    out = []
    for title, score, step in wanted:
        shown = min(count, 1 + (talk.frames - 1) // step)
        span = 1 + (shown - 1) * step
        total = np.convolve(score, np.ones(span), mode="valid")
        free = np.convolve(taken, np.ones(span), mode="valid") < 0.5
        if free.any():
            total = np.where(free, total, -np.inf)
        first = int(total.argmax())
        taken[first : first + span] = True
        out.append(Moment(title, first, step, shown))
    return out


def _speed(values: NDArray[np.float32] | Series) -> Series:
    """How fast `values` ``[T]`` or ``[T, n]`` change from frame to frame, squared: ``[T]``."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    return np.asarray((np.diff(rows, axis=0, prepend=rows[:1]) ** 2).sum(axis=1))
