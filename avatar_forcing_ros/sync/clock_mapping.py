"""Stamps of a stream from elsewhere on the local clock. No clock in here.

A remote clock begins anywhere and runs a little too fast or too slow; what it stamps arrives late
by the way it took, which differs from packet to packet. The least late arrivals of the last
seconds say where its zero lies, so that delays on the way do not move stamps.
"""

from __future__ import annotations

WINDOW_NS = 5_000_000_000  # after which an old arrival says nothing about the clock any more
JUMP_NS = 2_000_000_000  # a stamp that far off belongs to another counting


class RemoteClock:
    """Maps one stream's media time to local time."""

    def __init__(self) -> None:
        self.jumps = 0
        self._least_ns: int | None = None  # arrival minus media time, of this window
        self._least_before_ns: int | None = None  # of the window before
        self._began_ns = 0

    def stamp_ns(self, media_ns: int, arrival_ns: int) -> int:
        """The local time at which what is stamped `media_ns` left, plus the shortest way."""
        late_ns = arrival_ns - media_ns
        if self._least_ns is None or abs(late_ns - self._least_ns) > JUMP_NS:
            self.jumps += self._least_ns is not None
            self._least_ns, self._least_before_ns, self._began_ns = late_ns, None, arrival_ns
        elif arrival_ns - self._began_ns > WINDOW_NS:
            self._least_before_ns, self._least_ns = self._least_ns, late_ns
            self._began_ns = arrival_ns
        self._least_ns = min(self._least_ns, late_ns)
        before_ns = self._least_before_ns
        return media_ns + (self._least_ns if before_ns is None else min(before_ns, self._least_ns))
