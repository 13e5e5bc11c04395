"""What goes wrong while a node lives: counted by reason, said once in a while, never raised."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

WARN_EVERY_S = 10.0


class ErrorCounter:
    """Counts of what went wrong, by place and reason; safe from any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._said: dict[str, float] = {}

    def count(self, reason: str, sentence: str, times: int = 1) -> None:
        """Count `reason`; `sentence` is logged, at most every few seconds for one reason."""
        now_s = self._node.get_clock().now().nanoseconds / 1e9
        with self._lock:
            self._counts[reason] += times
            count = self._counts[reason]
            last_s = self._said.get(reason)
            if last_s is not None and 0.0 <= now_s - last_s < WARN_EVERY_S:
                return
            self._said[reason] = now_s
        so_far = f" ({count} times so far)" if count > 1 else ""
        self._node.get_logger().warning(f"{sentence}{so_far}")

    @property
    def counts(self) -> dict[str, int]:
        """How often each reason came up."""
        with self._lock:
            return dict(self._counts)


def status(level: int, name: str, message: str, figures: Mapping[str, object]) -> DiagnosticStatus:
    """One line of diagnostics; `level` is one of DiagnosticStatus' constants."""
    return DiagnosticStatus(
        level=level if isinstance(level, bytes) else bytes([level]),
        name=name,
        message=message,
        values=[KeyValue(key=key, value=_text(value)) for key, value in figures.items()],
    )


def array(node: Node, statuses: Sequence[DiagnosticStatus]) -> DiagnosticArray:
    """All lines, stamped now."""
    out = DiagnosticArray(status=list(statuses))
    out.header.stamp = node.get_clock().now().to_msg()
    return out


def _text(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
