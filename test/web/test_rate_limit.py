"""Buckets: some at once, then evenly, each address for itself."""

from __future__ import annotations

from avatar_forcing_ros.web import rate_limit
from avatar_forcing_ros.web.rate_limit import RateLimit


def test_a_burst_then_evenly() -> None:
    limit = RateLimit(per_s=2.0, burst=3)
    assert [limit.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert limit.allows("b", 0.0)
    assert [limit.allows("a", 0.5), limit.allows("a", 0.6)] == [True, False]
    assert [limit.allows("a", 100.0) for _ in range(4)] == [True, True, True, False]


def test_memory_stays_small_and_the_busy_are_remembered() -> None:
    limit = RateLimit(per_s=1.0, burst=2)
    assert [limit.allows("busy", 99.5) for _ in range(3)] == [True, True, False]
    for i in range(rate_limit.MOST_ADDRESSES * 3):
        limit.allows(str(i), i / 1_000 if i < 900 else 100.0)
        assert len(limit._buckets) <= rate_limit.MOST_ADDRESSES
