"""What a mouth is taken to do while something covers it: it comes to rest from where it was."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.expression import MOUTH, smooth_step
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

Array = NDArray[np.float64]

BEFORE = 5  # readings: the last ones before a mouth is known to be covered are wrong already
EASE_NS = 600_000_000  # in which it comes to rest
RETURN_NS = 200_000_000  # in which a mouth that is seen again takes over


class HiddenMouth:
    """Replaces the mouth's part of the expressions of one user while the mouth is hidden."""

    def __init__(self) -> None:
        self._read: deque[Array] = deque(maxlen=BEFORE)
        self._start: tuple[int, Array] | None = None  # when it was hidden, and what it did before
        self._returned: tuple[int, Array] | None = None  # when it came back, and what was given

    def __call__(self, expression: Array, visible: bool, stamp_ns: int) -> Array:
        """`expression` ``[17]`` at `stamp_ns`, its mouth as read if `visible`, else a guess."""
        out = expression.copy()
        if not visible:
            if self._start is None:
                before = self._read[0] if self._read else np.zeros(len(MOUTH))
                self._start = stamp_ns, before
            since_ns, before = self._start
            out[MOUTH] = before * (1.0 - smooth_step(np.array((stamp_ns - since_ns) / EASE_NS)))
            self._returned = stamp_ns, out[MOUTH]
            self._read.clear()
            return out
        self._start = None
        if self._returned is not None:
            since_ns, given = self._returned
            part = min(1.0, max(0.0, (stamp_ns - since_ns - FRAME_PERIOD_NS) / RETURN_NS))
            out[MOUTH] = given + part * (out[MOUTH] - given)
            self._returned = None if part == 1.0 else self._returned
        self._read.append(out[MOUTH])
        return out
