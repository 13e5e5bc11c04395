"""Rate limits: a burst, then evenly, each address and each logger for itself."""

from __future__ import annotations

import logging

from avatar_forcing_ros.web import middleware
from avatar_forcing_ros.web.middleware import (
    LIMITED_LOGGERS,
    LOG_BURST,
    LOG_LINES_PER_S,
    LogRateLimit,
    RateLimit,
    limit_log_rate,
)


def test_a_burst_then_evenly() -> None:
    limit = RateLimit(per_s=2.0, burst=3)
    assert [limit.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert limit.allows("b", 0.0)
    assert [limit.allows("a", 0.5), limit.allows("a", 0.6)] == [True, False]
    assert [limit.allows("a", 100.0) for _ in range(4)] == [True, True, True, False]


def test_memory_stays_small_and_the_busy_are_remembered() -> None:
    limit = RateLimit(per_s=1.0, burst=2)
    assert [limit.allows("busy", 99.5) for _ in range(3)] == [True, True, False]
    for i in range(middleware.MAX_ADDRESSES * 3):
        limit.allows(str(i), i / 1_000 if i < 900 else 100.0)
        assert len(limit) <= middleware.MAX_ADDRESSES


def record(name: str = "a") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, "lost %d", (7,), None)


def test_a_few_lines_at_once_then_one_in_a_while_with_the_number_dropped() -> None:
    now_s = 0.0
    limit = LogRateLimit(lambda: now_s)
    assert [limit.filter(record()) for _ in range(LOG_BURST + 3)] == [True] * LOG_BURST + [
        False
    ] * 3
    assert limit.filter(record("b"))
    now_s += 1 / LOG_LINES_PER_S
    late = record()
    assert limit.filter(late)
    assert late.getMessage() == "lost 7 (3 lines suppressed before)"


def test_each_logger_gets_one_handler() -> None:
    loggers = [logging.getLogger(name) for name in LIMITED_LOGGERS]
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    try:
        limit_log_rate()
        once = [len(logger.handlers) for logger in loggers]
        limit_log_rate()
        assert [len(logger.handlers) for logger in loggers] == once
        assert all(once)
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
