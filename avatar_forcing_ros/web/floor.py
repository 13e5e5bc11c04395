"""Whose turn it is to talk. Places are named by their keys; the clock is given.

One holds the floor, others stand in line. It is kept for a while for one whose connection broke,
and for the first in line when it is handed over; nobody else can take it meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KEPT_S = 10.0


@dataclass(frozen=True)
class _Kept:
    key: str
    until_s: float
    offered: bool  # to one in line; else kept for the one who held it


class Floor:
    """`turns` counts how often somebody's turn was over for good."""

    def __init__(self) -> None:
        self.holder: str | None = None
        self.turns = 0
        self._kept: _Kept | None = None
        self._line: list[str] = []

    @property
    def is_free(self) -> bool:
        """Whether anybody may take it."""
        return self.holder is None and self._kept is None

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def may_take(self, key: str) -> bool:
        """Whether the place `key` may talk now."""
        kept_for = self._kept.key if self._kept else None
        return self.is_free or key in (self.holder, kept_for)

    def told(self, key: str) -> dict[str, Any]:
        """What the place `key` is told of it."""
        offered = self._kept is not None and self._kept.offered and self._kept.key == key
        return {"held": not self.is_free, "waiting": self.waiting, "offered": offered}

    def take(self, key: str, new_key: str) -> None:
        """The place `key` talks from now on, and is called `new_key`."""
        self._kept = None
        self._forget(key)
        self.holder = new_key

    def rename(self, key: str, new_key: str) -> None:
        """The place `key` is called `new_key` from now on."""
        self._line = [new_key if waiting == key else waiting for waiting in self._line]
        if self._kept and self._kept.key == key:
            self._kept = _Kept(new_key, self._kept.until_s, self._kept.offered)

    def ask(self, key: str, now_s: float) -> None:
        """`key` stands in line; where nobody talks it is offered the floor at once."""
        if key != self.holder and key not in self._line:
            self._line.append(key)
        if self.is_free:
            self._offer(now_s)

    def hand_over(self, now_s: float) -> None:
        """The holder's turn is over; the first in line is offered the floor."""
        self.holder = None
        self.turns += 1
        self._offer(now_s)

    def lost(self, key: str, now_s: float) -> None:
        """The connection of `key` broke: what it held is kept for it."""
        self._forget(key)
        if self.holder == key:
            self.holder, self._kept = None, _Kept(key, now_s + KEPT_S, offered=False)

    def left(self, key: str, now_s: float) -> None:
        """`key` has gone, and wants nothing any more."""
        self._forget(key)
        kept = self._kept is not None and self._kept.key == key
        if self.holder == key or kept:
            self.turns += self.holder == key or not (self._kept and self._kept.offered)
            self.holder = self._kept = None
            self._offer(now_s)

    def pass_on(self, now_s: float) -> None:
        """What was kept for too long goes to the next in line."""
        if self._kept and now_s >= self._kept.until_s:
            self.turns += not self._kept.offered
            self._forget(self._kept.key)
            self._kept = None
            self._offer(now_s)

    def _offer(self, now_s: float) -> None:
        """To the first in line, who stays there until it has taken it."""
        if self._line:
            self._kept = _Kept(self._line[0], now_s + KEPT_S, offered=True)

    def _forget(self, key: str) -> None:
        self._line = [waiting for waiting in self._line if waiting != key]
