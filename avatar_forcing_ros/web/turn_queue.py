"""Whose turn it is to talk: held, waited for, reserved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

RESERVE_S = 10.0
FIRM_S = 4.0  # from a lost holder's last sign of life; then whoever asks gets the turn


@dataclass(frozen=True)
class _Reservation:
    key: str
    until_s: float
    is_offer: bool  # to the first in line; else for the holder whose connection broke
    firm_until_s: float
    is_firm: bool = True


class TurnQueue:
    """Whose turn it is to talk; peers are named by their keys, the clock is given.

    One holds the turn, others wait in line. It is reserved for a while for a holder whose
    connection broke, and for the first in line when it is handed over. Nobody else can take it
    meanwhile; a holder's reservation gives way sooner where somebody wants the turn.
    `ended_turns` counts how often somebody's turn was over for good.
    """

    def __init__(self) -> None:
        self.holder: str | None = None
        self.ended_turns = 0
        self._reserved: _Reservation | None = None
        self._line: list[str] = []
        self._resumed_from = ""  # what the holder was called when it came again

    @property
    def is_free(self) -> bool:
        """Whether anybody may take the turn."""
        return self.holder is None and not (self._reserved and self._reserved.is_firm)

    @property
    def is_reserved(self) -> bool:
        """Whether it is kept for somebody, firmly or not."""
        return self._reserved is not None

    def knows(self, key: str) -> bool:
        """Whether `key` holds the turn, waits for it, or has it kept."""
        reserved_for = self._reserved.key if self._reserved else None
        return key in (self.holder, reserved_for, *self._line)

    @property
    def waiting(self) -> int:
        """How many wait in line."""
        return len(self._line)

    def may_take(self, key: str) -> bool:
        """Whether `key` may talk now."""
        reserved_for = self._reserved.key if self._reserved else None
        return self.is_free or key in (self.holder, reserved_for)

    def state(self, key: str) -> dict[str, Any]:
        """The state for `key`, as the page shows it."""
        reserved = self._reserved
        offered = reserved is not None and reserved.is_offer and reserved.key == key
        return {
            "held": not self.is_free,
            "waiting": self.waiting,
            "asked": key in self._line,
            "offered": offered,
        }

    def take(self, key: str, new_key: str) -> None:
        """`key` talks from now on, and is called `new_key`."""
        reserved = self._reserved
        had_it = key == self.holder or (
            reserved is not None and reserved.key == key and not reserved.is_offer
        )
        self._resumed_from = key if had_it else ""
        self.ended_turns += reserved is not None and not reserved.is_offer and not had_it
        self._reserved = None
        self._leave_line(key)
        self.holder = new_key

    def rename(self, key: str, new_key: str) -> None:
        """`key` is called `new_key` from now on."""
        self._line = [new_key if waiting == key else waiting for waiting in self._line]
        if self._reserved and self._reserved.key == key:
            self._reserved = replace(self._reserved, key=new_key)

    def request(self, key: str, now_s: float) -> None:
        """`key` waits in line; where nobody talks it is offered the turn at once."""
        if key != self.holder and key not in self._line:
            self._line.append(key)
        self.expire(now_s)
        if self.is_free:
            self._offer(now_s)

    def withdraw(self, key: str, now_s: float) -> None:
        """`key` waits in line no more; a turn that it was offered goes to the next."""
        self._leave_line(key)
        if self._reserved and self._reserved.is_offer and self._reserved.key == key:
            self._reserved = None
            self._offer(now_s)

    def hand_over(self, now_s: float) -> None:
        """The holder's turn is over; the first in line is offered the next."""
        self.holder = None
        self.ended_turns += 1
        self._offer(now_s)

    def lose(self, key: str, now_s: float, alive_s: float | None = None) -> None:
        """The connection of `key`, which last lived at `alive_s`, broke: its turn is reserved."""
        self._leave_line(key)
        if self.holder == key:
            self.holder = None
            firm_until_s = FIRM_S + (now_s if alive_s is None else alive_s)
            self._reserved = _Reservation(key, now_s + RESERVE_S, False, firm_until_s)

    def abandon(self, key: str, now_s: float) -> None:
        """`key` never got its answer; a turn that it had before is reserved for it as it was."""
        if self.holder == key and self._resumed_from:
            self.holder = self._resumed_from
            self.lose(self.holder, now_s)
        else:
            self.leave(key, now_s)

    def leave(self, key: str, now_s: float) -> None:
        """`key` has gone for good."""
        self._leave_line(key)
        reserved = self._reserved if self._reserved and self._reserved.key == key else None
        if self.holder == key or reserved:
            self.ended_turns += self.holder == key or not (reserved and reserved.is_offer)
            self.holder = self._reserved = None
            self._offer(now_s)

    def expire(self, now_s: float) -> None:
        """A reservation that is over, or firm no more, goes to the next in line."""
        reserved = self._reserved
        if reserved is None:
            return
        is_firm = now_s < reserved.firm_until_s
        if now_s >= reserved.until_s or (self._line and not is_firm):
            self.ended_turns += not reserved.is_offer
            self._leave_line(reserved.key)
            self._reserved = None
            self._offer(now_s)
        else:
            self._reserved = replace(reserved, is_firm=is_firm)

    def _offer(self, now_s: float) -> None:
        """Reserve for the first in line, who stays there until they take it."""
        if self._line:
            until_s = now_s + RESERVE_S
            self._reserved = _Reservation(self._line[0], until_s, True, until_s)

    def _leave_line(self, key: str) -> None:
        self._line = [waiting for waiting in self._line if waiting != key]
