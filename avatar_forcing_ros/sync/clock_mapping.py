"""Clocks that differ from ours: a remote stream's stamps on the local clock, jumps, and drift."""

from __future__ import annotations

from collections.abc import Callable

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

WINDOW_NS = 5_000_000_000  # after which an old arrival says nothing about the clock any more
JUMP_NS = 2_000_000_000  # a stamp that far off belongs to another counting
BACK_NS = 1_000_000_000  # so do stamps, and a clock, that go back by more than that

# Live, against a steady clock: a step of NTP. What is less is made up for as any lateness is, by
# giving up some blocks; a machine that is slow, or was suspended, moves both clocks alike.
STEP_NS = 2_000_000_000
# In a replay the clock runs at the player's rate, and in steps. A machine that is slow reads it
# rarely, but then the steady clock has moved, too. A second recording is from hours or days later;
# one that follows within these seconds is played on without a break.
REPLAY_STEP_NS, REPLAY_RATE = 10_000_000_000, 10
# between the readings of the two clocks, which are one only if nobody held the thread up
MAX_READING_NS = 100_000_000

# a sound card is up to 200 ppm off, 0.7 s in an hour
SMOOTHING_SAMPLES = SAMPLE_RATE_HZ  # stamps and callbacks jitter by several milliseconds
PAUSE_DRIFT_SAMPLES = SAMPLE_RATE_HZ * 5 // 1000  # that are worth correcting in a pause
SLIP_DRIFT_SAMPLES = SAMPLE_RATE_HZ * 15 // 1000  # that are worth stretching a word
FAR_SAMPLES = SAMPLE_RATE_HZ * 40 // 1000
STALL_SAMPLES = SAMPLE_RATE_HZ // 10


class RemoteClock:
    """Maps one stream's media time to local time.

    A remote clock begins anywhere and runs a little too fast or too slow; what it stamps arrives
    late by the way it took, which differs from packet to packet. The least late arrivals of the
    last seconds say where its zero lies, so that delays on the way do not move stamps.
    """

    def __init__(self) -> None:
        self.jumps = 0
        self._min_ns: int | None = None  # arrival minus media time, of this window
        self._min_before_ns: int | None = None  # of the window before
        self._began_ns = 0

    def stamp_ns(self, media_ns: int, arrival_ns: int) -> int:
        """The local time at which what is stamped `media_ns` left, plus the shortest way."""
        late_ns = arrival_ns - media_ns
        if self._min_ns is None or abs(late_ns - self._min_ns) > JUMP_NS:
            self.jumps += self._min_ns is not None
            self._min_ns, self._min_before_ns, self._began_ns = late_ns, None, arrival_ns
        elif arrival_ns - self._began_ns > WINDOW_NS:
            self._min_before_ns, self._min_ns, self._began_ns = self._min_ns, late_ns, arrival_ns
        self._min_ns = min(self._min_ns, late_ns)
        before_ns = self._min_before_ns
        return media_ns + (self._min_ns if before_ns is None else min(before_ns, self._min_ns))


class ClockJumps:
    """Whether the clock of the stamps has jumped, by comparing it with a steady clock.

    `live` says that it should run as the steady one does.
    """

    def __init__(
        self, now_ns: Callable[[], int], *, live: bool, steady_ns: Callable[[], int]
    ) -> None:
        self._now_ns, self._steady_ns, self._live = now_ns, steady_ns, live
        self._last_ns = self._last_steady_ns = 0

    def check(self) -> str:
        """How the clock jumped since the last check, as a part of a sentence; else empty.

        A clock that has not begun, which shows zero, cannot jump.
        """
        before_ns, now_ns, steady_ns = self._steady_ns(), self._now_ns(), self._steady_ns()
        if steady_ns - before_ns > MAX_READING_NS:
            return ""  # the next check will find it
        moved_ns = now_ns - self._last_ns
        rate, step_ns = (1, STEP_NS) if self._live else (REPLAY_RATE, REPLAY_STEP_NS)
        unexpected_ns = moved_ns - rate * (steady_ns - self._last_steady_ns)
        began = self._last_ns > 0
        self._last_ns, self._last_steady_ns = now_ns, steady_ns
        if began and moved_ns < -BACK_NS:
            return f"went back by {-moved_ns / 1e9:.1f} s"
        if began and unexpected_ns > step_ns:
            return f"jumped ahead by {moved_ns / 1e9:.1f} s"
        return ""


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
