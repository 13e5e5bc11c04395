"""Rate limits: requests of an address (token bucket), and lines of a log."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

MAX_ADDRESSES = 1_000
LOG_BURST, LOG_LINES_PER_S = 5, 0.1
LIMITED_LOGGERS = ("aiortc", "aioice", "aiohttp", "asyncio", "avatar_forcing_ros.web")


@dataclass
class _Bucket:
    tokens: float
    filled_s: float


class RateLimit:
    """`burst` requests at once, then `per_s` a second, for each address. The clock is given."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: dict[str, _Bucket] = {}

    def allows(self, address: str, now_s: float) -> bool:
        """Whether one more request from `address` is within the limit; it counts if so."""
        if address not in self._buckets and len(self._buckets) >= MAX_ADDRESSES:
            self._forget_idle(now_s)
        bucket = self._buckets.setdefault(address, _Bucket(self._burst, now_s))
        bucket.tokens = min(self._burst, bucket.tokens + self._per_s * (now_s - bucket.filled_s))
        bucket.filled_s = now_s
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._buckets)

    def _forget_idle(self, now_s: float) -> None:
        """Forget addresses whose bucket is full again; all of them where there are none."""
        full_s = now_s - self._burst / self._per_s
        busy = {a: b for a, b in self._buckets.items() if b.filled_s > full_s}
        self._buckets = busy if len(busy) < MAX_ADDRESSES else {}


class LogRateLimit(logging.Filter):
    """Passes a few lines of each logger at once, then one every ten seconds.

    A broken stream makes aiortc warn hundreds of times a second.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._limit = RateLimit(LOG_LINES_PER_S, LOG_BURST)
        self._suppressed: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is logged; it says how many before it were not."""
        if not self._limit.allows(record.name, self._now_s()):
            self._suppressed[record.name] += 1
            return False
        suppressed = self._suppressed.pop(record.name, 0)
        if suppressed:
            record.msg = f"{record.getMessage()} ({suppressed} lines suppressed before)"
            record.args = None
        return True


def limit_log_rate() -> None:
    """Have the web server's loggers write to stderr at a limited rate; idempotent."""
    for name in LIMITED_LOGGERS:
        logger = logging.getLogger(name)
        if any(isinstance(f, LogRateLimit) for h in logger.handlers for f in h.filters):
            continue
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.addFilter(LogRateLimit())
        logger.addHandler(handler)
        logger.propagate = False
