"""How a stream's clock drifts from ours, and when to do something about it.

A sound card is up to 200 ppm off, 0.7 s in an hour.
"""

from __future__ import annotations

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

SMOOTHING_SAMPLES = SAMPLE_RATE_HZ  # stamps and callbacks jitter by several milliseconds
PAUSE_DRIFT_SAMPLES = SAMPLE_RATE_HZ * 5 // 1000  # that are worth correcting in a pause
SLIP_DRIFT_SAMPLES = SAMPLE_RATE_HZ * 15 // 1000  # that are worth stretching a word
FAR_SAMPLES = SAMPLE_RATE_HZ * 40 // 1000
STALL_SAMPLES = SAMPLE_RATE_HZ // 10


class Drift:
    """How far a stream is from its place, in samples: smoothed over a second; positive: late."""

    def __init__(self) -> None:
        self.samples = 0.0

    def observe(self, late: float, count: int) -> None:
        """A chunk of `count` samples is `late`."""
        self.samples += (late - self.samples) * count / (count + SMOOTHING_SAMPLES)

    def corrected(self, samples: int) -> None:
        """The stream was moved forward by so many samples."""
        self.samples -= samples


class SpeakerDrift(Drift):
    """How far playback is behind its time; negative: ahead.

    In a pause the whole error is corrected at once, by leaving out or adding samples of silence.
    Only where no pause comes for long is a word stretched, one sample in each 40 ms at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self._since_slip = 0
        self._far_for = 0  # samples for which what is observed was far from what is smoothed

    def observe(self, late: float, count: int) -> None:
        """A block of `count` samples is asked for while playback is `late`."""
        far = abs(late - self.samples) > FAR_SAMPLES
        self._far_for = self._far_for + count if far else 0
        if self._far_for > STALL_SAMPLES:  # no jitter: the card was held up, or has run ahead
            self.samples, self._far_for = float(late), 0
        elif not far:
            super().observe(late, count)

    @property
    def excess(self) -> int:
        """What to correct in a pause, in samples; 0 where it is too little to matter."""
        return int(self.samples) if abs(self.samples) > PAUSE_DRIFT_SAMPLES else 0

    @property
    def is_far(self) -> bool:
        """Whether correcting cannot wait for a pause."""
        return abs(self.samples) > FAR_SAMPLES

    def slip(self, count: int) -> int:
        """How many samples more, or fewer, to squeeze into a block of `count`."""
        self._since_slip += count
        max_slip, self._since_slip = divmod(self._since_slip, SAMPLES_PER_FRAME)
        if abs(self.samples) <= SLIP_DRIFT_SAMPLES or count <= 2 * max_slip:
            return 0
        return max_slip if self.samples > 0 else -max_slip
