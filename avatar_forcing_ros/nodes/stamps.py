"""When a message is of: its header's word, or the time of arrival where that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rclpy.time import Time

from avatar_forcing_ros.nodes.diagnostics import ErrorCounter

REPLAY_LATE_NS = 60_000_000_000


class MessageTime(NamedTuple):
    """When a message is of, on the node's clock."""

    ns: int
    arrived: bool  # that is when it came: it jitters as the network does


class StampReader:
    """The time of a message on the node's clock."""

    def __init__(
        self,
        now_ns: Callable[[], int],
        tolerance_s: float,
        errors: ErrorCounter,
        *,
        replay: bool = False,
    ) -> None:
        """`replay`: messages of a bag may be served late, by as much as a busy machine needs.

        Their stamps are old then, and as good as ever: times of arrival would differ each time.
        """
        self._now_ns, self._errors = now_ns, errors
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._late_ns = max(self._tolerance_ns, REPLAY_LATE_NS if replay else 0)

    def __call__(self, msg: Any, topic: str) -> MessageTime:
        """The header's stamp, or the time of arrival where there is none or it cannot be."""
        now_ns = self._now_ns()
        header = getattr(msg, "header", None)
        stamp_ns = Time.from_msg(header.stamp).nanoseconds if header is not None else 0
        if not stamp_ns:
            if header is not None:
                self._errors.count(
                    f"{topic} stamp_zero",
                    f"{topic}: messages without a stamp; the time of arrival is taken instead",
                )
            return MessageTime(now_ns, True)
        ahead_ns = stamp_ns - now_ns
        if now_ns > 0 and not -self._late_ns <= ahead_ns <= self._tolerance_ns:
            self._errors.count(
                f"{topic} stamp_far",
                f"{topic}: a stamp is {ahead_ns / 1e9:+.1f} s from now, expected "
                f"{self._tolerance_ns / 1e9:g} s at most; the time of arrival is taken instead: "
                "check the clocks of both machines, or the parameter stamp_tolerance_s",
            )
            return MessageTime(now_ns, True)
        return MessageTime(stamp_ns, False)
