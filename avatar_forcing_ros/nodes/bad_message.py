"""The one way in which a message that cannot be used is told."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "channels",
    "empty",
    "encoding",
    "format",
    "names",
    "not_finite",
    "rate",
    "size",
    "stamp",
    "step",
    "truncated",
]


class BadMessage(Exception):  # noqa: N818 - it names what came, not what went wrong here
    """A message to be dropped and counted; the conversation goes on without it.

    `reason` is short and stable, to count by; `detail` is a sentence for the log.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def refuse(reason: Reason, what: str, *, expected: str, got: str, remedy: str) -> BadMessage:
    """The BadMessage to raise, worded as all errors of this package are."""
    return BadMessage(reason, f"{what}: expected {expected}, got {got}; {remedy}")
