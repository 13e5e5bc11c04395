"""How long after its stamp a frame is due, so that hardly any comes too late. No clock in here.

The lag grows at once when a frame comes later than planned, and all after it keep their distance.
It goes back as soon as the newest blocks, but for a few, needed less: one hiccup is over after
seconds, hiccups that come again and again are planned for.
"""

from __future__ import annotations

from collections import deque

from avatar_forcing_ros.media import AvatarFrame

HEADROOM_NS = 8_000_000
SHRINK_NS = 4_000_000  # a frame: motion is a tenth faster for a while, which nobody sees
REMEMBERED_BLOCKS = 40
OUT_OF_BLOCKS = 20  # one may be late: it is not planned for


class Lag:
    """The lag that frames are given, of one conversation."""

    def __init__(self) -> None:
        self.lag_ns = 0
        self.late_blocks = 0
        self._first_block: int | None = None
        self._late_block: int | None = None  # the newest that was
        self._needed_ns: deque[int] = deque(maxlen=REMEMBERED_BLOCKS)
        self._newest_block: int | None = None  # that `_needed_ns` knows

    def after(self, frame: AvatarFrame, ready_ns: int) -> int:
        """Note when `frame` was ready; the lag from now on.

        The first block may be longer than all others, so what it needed is soon forgotten.
        """
        needed = ready_ns - frame.stamp_ns + HEADROOM_NS
        if self._first_block is None:
            self._first_block = self._late_block = frame.block_index
            self.lag_ns = needed
        if frame.block_index != self._first_block:
            self._remember(frame.block_index, needed)
        if needed > self.lag_ns:
            self.late_blocks += frame.block_index != self._late_block
            self._late_block = frame.block_index
            self.lag_ns = needed
        elif self._needed_ns:
            planned = max(needed, self._planned_ns())
            self.lag_ns = min(self.lag_ns, max(self.lag_ns - SHRINK_NS, planned))
        return self.lag_ns

    def _remember(self, block: int, needed_ns: int) -> None:
        """A block needs what the slowest of its frames does."""
        if block == self._newest_block:
            self._needed_ns[-1] = max(self._needed_ns[-1], needed_ns)
        else:
            self._needed_ns.append(needed_ns)
            self._newest_block = block

    def _planned_ns(self) -> int:
        """What all remembered blocks needed, but for the few that may be late."""
        return sorted(self._needed_ns)[-1 - len(self._needed_ns) // OUT_OF_BLOCKS]
