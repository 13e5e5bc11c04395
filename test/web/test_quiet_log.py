"""Logs of a broken stream stay short."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("aiohttp")

from avatar_forcing_ros.web.quiet_log import AT_ONCE, PER_S, TALKATIVE, Sparing, keep_quiet


def record(name: str = "a") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, "lost %d", (7,), None)


def test_a_few_lines_at_once_then_one_in_a_while_with_the_number_left_out() -> None:
    now_s = 0.0
    sparing = Sparing(lambda: now_s)
    assert [sparing.filter(record()) for _ in range(AT_ONCE + 3)] == [True] * AT_ONCE + [False] * 3
    assert sparing.filter(record("b"))
    now_s += 1 / PER_S
    late = record()
    assert sparing.filter(late)
    assert late.getMessage() == "lost 7 (3 lines left out before)"


def test_each_logger_gets_one_handler() -> None:
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    try:
        keep_quiet()
        once = [len(logger.handlers) for logger in loggers]
        keep_quiet()
        assert [len(logger.handlers) for logger in loggers] == once
        assert all(once)
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
