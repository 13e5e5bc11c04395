"""What an avatar that is late leaves out: images first, and where that does not help, time."""

from __future__ import annotations

LATE_NS = 160_000_000  # so far behind, and with nothing left to save, every other image is drawn
HOLD_NS = 500_000_000  # so far behind nothing is drawn: the last image stays
SKIP_NS = 2_000_000_000  # so far behind the time is given up
MAX_UNDRAWN_BLOCKS = 8  # in a row: where those did not catch up, others would not, either


class CatchingUp:
    """Decides, block after block of a conversation, from how late each is; no clock in here."""

    def __init__(self) -> None:
        self._undrawn_blocks = 0  # in a row

    def drawn_every(self, behind_ns: int, *, exhausted: bool = False) -> int | None:
        """The next block's images: 1 for all, 2 for every other one, 0 for none.

        None where the time up to now is to be given up instead. `exhausted` says that quality is
        as low as it gets.
        """
        holds = behind_ns > HOLD_NS
        if behind_ns > SKIP_NS or (holds and self._undrawn_blocks >= MAX_UNDRAWN_BLOCKS):
            self._undrawn_blocks = 0
            return None
        self._undrawn_blocks = self._undrawn_blocks + 1 if holds else 0
        if holds:
            return 0
        return 2 if exhausted and behind_ns > LATE_NS else 1
