"""Whether the clock of the stamps has jumped since it was looked at last."""

from __future__ import annotations

import time
from collections.abc import Callable

BACK_NS = 1_000_000_000
# Live, against a steady clock: a step of NTP. What is less is made up for as any lateness is, by
# giving up some blocks; a machine that is slow, or was suspended, moves both clocks alike.
STEP_NS = 2_000_000_000
# In a replay the clock runs at the player's rate, and in steps. A machine that is slow looks at it
# rarely, but then the steady clock has moved, too. A second recording is from hours or days later;
# one that follows within these seconds is lived up to.
REPLAY_STEP_NS, REPLAY_RATE = 10_000_000_000, 10
# between the looks at the two clocks, which are one only if nobody held the thread up
LOOK_NS = 100_000_000


def steady_ns() -> int:
    """A clock that never jumps, and that goes on while the machine is suspended where it can."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockJumps:
    """Looks at a clock; `live` says that it should run as a steady one does."""

    def __init__(
        self, now_ns: Callable[[], int], *, live: bool, steady_ns: Callable[[], int] = steady_ns
    ) -> None:
        self._now_ns, self._steady_ns, self._live = now_ns, steady_ns, live
        self._last_ns = self._last_steady_ns = 0

    def look(self) -> str:
        """How the clock jumped since the last look, as a part of a sentence; else empty.

        A clock that has not begun, which shows zero, cannot jump.
        """
        before_ns = self._steady_ns()
        now_ns = self._now_ns()
        steady_ns = self._steady_ns()
        if steady_ns - before_ns > LOOK_NS:
            return ""  # the next look will tell
        moved_ns = now_ns - self._last_ns
        rate, step_ns = (1, STEP_NS) if self._live else (REPLAY_RATE, REPLAY_STEP_NS)
        unexpected_ns = moved_ns - rate * (steady_ns - self._last_steady_ns)
        began = self._last_ns > 0
        self._last_ns, self._last_steady_ns = now_ns, steady_ns
        if not began:
            return ""
        if moved_ns < -BACK_NS:
            return f"went back by {-moved_ns / 1e9:.1f} s"
        if unexpected_ns > step_ns:
            return f"jumped ahead by {moved_ns / 1e9:.1f} s"
        return ""
