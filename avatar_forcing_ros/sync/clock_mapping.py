"""Clocks that are not ours: a remote stream's stamps on the local clock, and clocks that jump."""

from __future__ import annotations

from collections.abc import Callable

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
