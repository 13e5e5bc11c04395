"""What goes wrong while a node runs: counted by reason, logged at a limited rate, reported."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node

from avatar_forcing_ros.errors import AvatarForcingError

LOG_PERIOD_S = 10.0
Reason = Literal[
    "channels",
    "confidence",
    "empty",
    "encoding",
    "expression",
    "format",
    "frame",
    "names",
    "not_finite",
    "place",
    "rate",
    "size",
    "stamp_zero",
    "step",
    "truncated",
]


class BadMessage(AvatarForcingError):  # noqa: N818 - it names what came, not what went wrong here
    """A message to be dropped and counted; the conversation goes on without it.

    `reason` is short and stable, to count by. Callbacks let it out: `NodeBase` counts and logs it.
    """

    def __init__(self, reason: Reason, what: str, *, expected: str, got: str, remedy: str) -> None:
        super().__init__(what, expected=expected, got=got, remedy=remedy)
        self.reason = reason


class ErrorCounter:
    """Counts of what went wrong, by place and reason; safe from any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._logged_s: dict[str, float] = {}

    def count(self, reason: str, sentence: str, times: int = 1) -> None:
        """Count `reason`; `sentence` is logged, at most every `LOG_PERIOD_S` for one reason."""
        now_s = self._node.get_clock().now().nanoseconds / 1e9
        with self._lock:
            self._counts[reason] += times
            count = self._counts[reason]
            last_s = self._logged_s.get(reason)
            if last_s is not None and 0.0 <= now_s - last_s < LOG_PERIOD_S:
                return
            self._logged_s[reason] = now_s
        so_far = f" ({count} times so far)" if count > 1 else ""
        self._node.get_logger().warning(f"{sentence}{so_far}")

    @property
    def counts(self) -> dict[str, int]:
        """How often each reason came up."""
        with self._lock:
            return dict(self._counts)

    @property
    def summary(self) -> str:
        """How many there were in all; empty where there were none."""
        total = sum(self.counts.values())
        return f"{total} errors" if total else ""


def status(
    node: Node,
    what: str,
    values: Mapping[str, object],
    *,
    ok: str = "alive",
    warning: str = "",
    error: str = "",
) -> DiagnosticStatus:
    """One line of diagnostics about a part of `node`: `error`, else `warning`, else `ok`."""
    level = DiagnosticStatus.WARN if warning else DiagnosticStatus.OK
    return DiagnosticStatus(
        level=DiagnosticStatus.ERROR if error else level,
        name=f"{node.get_fully_qualified_name()}: {what}",
        message=error or warning or ok,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
    )


def _text(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
