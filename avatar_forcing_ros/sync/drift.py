"""How the speaker's clock strays from ours, what to do about it, and soft edges of silence.

A sound card is up to 200 ppm off, 0.7 s in an hour. In a pause the whole error is mended at once,
by leaving out or adding samples of silence. Only where no pause comes for long is a word
stretched, one sample in each 40 ms at most, spread over a whole block by interpolation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

_SMOOTHING_SAMPLES = SAMPLE_RATE_HZ  # callbacks come several milliseconds early or late
_MEND_SAMPLES = SAMPLE_RATE_HZ * 5 // 1000
_SLIP_SAMPLES = SAMPLE_RATE_HZ * 15 // 1000
_FAR_SAMPLES = SAMPLE_RATE_HZ * 40 // 1000
_APART_SAMPLES = SAMPLE_RATE_HZ // 10
_EDGE_SAMPLES = SAMPLE_RATE_HZ * 2 // 1000


class SpeakerClock:
    """Follows how far the sound is behind its time, in samples; negative: ahead."""

    def __init__(self) -> None:
        self.behind_samples = 0.0
        self._since_slip = 0
        self._apart = 0  # samples for which what is seen was far from what is smoothed
        self._last = 0.0
        self._was_there: bool | None = None  # None: nothing was played yet

    def restart(self) -> None:
        """A stream begins; it begins in time."""
        self.behind_samples = 0.0
        self._since_slip = self._apart = 0

    def observe(self, behind: int, count: int) -> None:
        """A block of `count` samples is asked for while the sound is `behind`."""
        apart = behind - self.behind_samples
        self._apart = self._apart + count if abs(apart) > _FAR_SAMPLES else 0
        if self._apart > _APART_SAMPLES:  # no jitter: the card was held up, or has run ahead
            self.behind_samples, self._apart = float(behind), 0
        elif not self._apart:
            self.behind_samples += apart * count / (count + _SMOOTHING_SAMPLES)

    def corrected(self, samples: int) -> None:
        """The sound was moved forward by so many samples."""
        self.behind_samples -= samples

    @property
    def excess(self) -> int:
        """What to mend in a pause, in samples; 0 where it is too little to matter."""
        return int(self.behind_samples) if abs(self.behind_samples) > _MEND_SAMPLES else 0

    @property
    def is_far(self) -> bool:
        """Whether mending cannot wait for a pause."""
        return abs(self.behind_samples) > _FAR_SAMPLES

    def slip(self, count: int) -> int:
        """How many samples more, or fewer, to squeeze into a block of `count`."""
        self._since_slip += count
        if self._since_slip < SAMPLES_PER_FRAME:
            return 0
        most = self._since_slip // SAMPLES_PER_FRAME
        self._since_slip %= SAMPLES_PER_FRAME
        if abs(self.behind_samples) <= _SLIP_SAMPLES or count <= 2 * most:
            return 0
        return most if self.behind_samples > 0 else -most

    def soften(
        self, samples: NDArray[np.float32], there: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Ramps of 2 ms where sound stops or goes on after a hole: a step would click."""
        if not len(samples):
            return samples
        first = there[0] if self._was_there is None else self._was_there
        changes = np.flatnonzero(np.diff(np.concatenate(([first], there)))).tolist()
        softened = samples.copy() if changes else samples
        for at in changes:
            edge = min(_EDGE_SAMPLES, len(samples) - at)
            ramp = np.arange(1, edge + 1, dtype=np.float32) / (_EDGE_SAMPLES + 1)
            if there[at]:
                if self._was_there is not None:
                    softened[at : at + edge] *= ramp
            else:
                before = samples[at - 1] if at else self._last
                softened[at : at + edge] += np.float32(before) * (1 - ramp)
            self._was_there = bool(there[at])
        if there.any() or self._was_there is not None:
            self._was_there = bool(there[-1])
        self._last = float(samples[-1])
        return softened
