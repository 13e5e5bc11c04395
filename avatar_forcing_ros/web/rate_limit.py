"""How often somebody may ask: a bucket for each address, filled evenly. The clock is given."""

from __future__ import annotations

from dataclasses import dataclass

MOST_ADDRESSES = 1_000


@dataclass
class _Bucket:
    left: float
    filled_s: float


class RateLimit:
    """`burst` requests at once, then `per_s` a second, from each address."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: dict[str, _Bucket] = {}

    def allows(self, address: str, now_s: float) -> bool:
        """Whether one more request from `address` is within the limit; it counts if so."""
        if address not in self._buckets and len(self._buckets) >= MOST_ADDRESSES:
            self._forget_full(now_s)
        bucket = self._buckets.setdefault(address, _Bucket(self._burst, now_s))
        bucket.left = min(self._burst, bucket.left + self._per_s * (now_s - bucket.filled_s))
        bucket.filled_s = now_s
        if bucket.left < 1.0:
            return False
        bucket.left -= 1.0
        return True

    def _forget_full(self, now_s: float) -> None:
        """Let go of addresses that have not asked for long; of all, should there be none."""
        old_s = now_s - self._burst / self._per_s
        busy = {a: b for a, b in self._buckets.items() if b.filled_s > old_s}
        self._buckets = busy if len(busy) < MOST_ADDRESSES else {}
