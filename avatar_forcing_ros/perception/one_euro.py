"""The One-Euro filter: smooth while still, quick while moving (Casiez, Roussel, Vogel 2012)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_RATE_HZ

Array = NDArray[np.float64]


class OneEuroFilter:
    """A causal low-pass over vectors ``[K]`` whose cut-off rises with the speed of each entry.

    `min_cutoff_hz` when still; `speed_gain` adds to it, in Hz per unit and second.
    """

    def __init__(
        self,
        min_cutoff_hz: float | Array,
        speed_gain: float | Array,
        *,
        speed_cutoff_hz: float = 4.0,
        rate_hz: float = FRAME_RATE_HZ,
    ) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._speed_gain = speed_gain
        self._speed_share = _share(np.array(speed_cutoff_hz), rate_hz)
        self._rate_hz = rate_hz
        self._raw: Array | None = None
        self._speed = np.zeros(0)
        self._value = np.zeros(0)

    def reset(self) -> None:
        """Forget everything: the next value passes unchanged."""
        self._raw = None

    def __call__(self, value: Array) -> Array:
        """The smoothed `value` ``[K]``."""
        if self._raw is None:
            self._raw, self._value, self._speed = value.copy(), value.copy(), np.zeros_like(value)
            return value.copy()
        speed = (value - self._raw) * self._rate_hz
        self._speed += self._speed_share * (speed - self._speed)
        cutoff_hz = self._min_cutoff_hz + self._speed_gain * np.abs(self._speed)
        self._value += _share(cutoff_hz, self._rate_hz) * (value - self._value)
        self._raw = value.copy()
        return self._value.copy()


def _share(cutoff_hz: Array, rate_hz: float) -> Array:
    """How much of a step a first-order low-pass takes in one sample."""
    turn = 2 * np.pi * cutoff_hz / rate_hz
    return np.asarray(turn / (turn + 1.0), np.float64)
