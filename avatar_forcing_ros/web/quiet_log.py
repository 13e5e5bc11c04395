"""Warnings by the hundred say no more than one: a log that a broken stream cannot flood."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from avatar_forcing_ros.web.rate_limit import RateLimit

AT_ONCE, PER_S = 5, 0.1
TALKATIVE = ("aiortc", "aioice", "aiohttp", "asyncio", "avatar_forcing_ros.web")


class Sparing(logging.Filter):
    """Lets a few lines of each logger through at once, then one in a while."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._limit = RateLimit(PER_S, AT_ONCE)
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is told; it says how many were not."""
        if not self._limit.allows(record.name, self._now_s()):
            self._left_out[record.name] += 1
            return False
        missing = self._left_out.pop(record.name, 0)
        if missing:
            record.msg = f"{record.getMessage()} ({missing} lines left out before)"
            record.args = None
        return True


def keep_quiet() -> None:
    """Have the loggers of the web server write to stderr sparingly; once is enough."""
    for name in TALKATIVE:
        logger = logging.getLogger(name)
        if not any(isinstance(f, Sparing) for h in logger.handlers for f in h.filters):
            logger.addHandler(sparing_handler())
            logger.propagate = False


def sparing_handler() -> logging.Handler:
    """Writes to stderr, sparingly."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(Sparing())
    return handler
