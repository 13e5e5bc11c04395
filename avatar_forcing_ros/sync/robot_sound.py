"""What the robot hears, cut to the avatar's frames. No clock in here.

Pieces come when they come, and each frame takes 40 ms. What is missing is silence, so that what
waits grows to what the pieces' jitter needs; what is more than that is dropped, the oldest first.
Two clocks that drift apart cost a few samples now and then, and never delay.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

MOST_WAITING = SAMPLE_RATE_HZ * 120 // 1000  # samples that may be left when a piece comes
LONGEST = SAMPLE_RATE_HZ  # samples that may wait with it
ROUND_FRAMES = 10 * FRAME_RATE_HZ  # what was left over through all of them is not needed
SPARE = SAMPLE_RATE_HZ * 10 // 1000  # but for these samples


class RobotSound:
    """`missing_samples` were silence, `dropped_samples` were never heard."""

    def __init__(self) -> None:
        self.missing_samples = self.dropped_samples = 0
        self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting = np.zeros(0, np.float32)
        self._frames, self._least = 0, LONGEST

    def put(self, samples: NDArray[np.float32]) -> None:
        """Take a piece ``[n]`` of any length, 16 kHz; what is not finite becomes silence."""
        self._keep(MOST_WAITING)
        finite = np.where(np.isfinite(samples), samples, np.float32(0))
        self._waiting = np.concatenate((self._waiting, finite))
        self._keep(LONGEST)

    def take(self) -> NDArray[np.float32]:
        """The next frame's sound ``[640]``."""
        taken = np.zeros(SAMPLES_PER_FRAME, np.float32)
        count = min(len(self._waiting), SAMPLES_PER_FRAME)
        taken[:count] = self._waiting[:count]
        self._waiting = self._waiting[count:]
        self.missing_samples += SAMPLES_PER_FRAME - count
        self._frames += 1
        self._least = min(self._least, len(self._waiting))
        if self._frames == ROUND_FRAMES:
            self._keep(len(self._waiting) - max(0, self._least - SPARE))
            self._frames, self._least = 0, LONGEST
        return taken

    def _keep(self, most: int) -> None:
        """Drop the oldest of what is more than `most` samples."""
        over = max(0, len(self._waiting) - most)
        self.dropped_samples += over
        self._waiting = self._waiting[over:]
