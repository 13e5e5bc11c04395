"""Log messages: to the terminal, and through ``/rosout`` to everyone."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone.time import S_TO_NS


class LoggingSeverity(IntEnum):
    """How bad it is."""

    UNSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


_COLOURS = {10: "32", 20: "0", 30: "33", 40: "31", 50: "31"}
_levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}
_sinks: dict[str, Callable[[int, LoggingSeverity, str, str, Any], None]] = {}
_state = {"stdout": True}
_print_lock = threading.Lock()
_THIS_FILE = __file__


def get_logging_severity_from_string(log_severity: str) -> LoggingSeverity:
    """The severity of that name; raises ConfigError for an unknown one."""
    try:
        return LoggingSeverity[log_severity.upper()]
    except KeyError:
        known = ", ".join(level.name.lower() for level in LoggingSeverity)
        raise ConfigError(
            "log level", expected=known, got=log_severity, remedy="choose one of these"
        ) from None


def configure(arguments: Any) -> None:
    """Takes over the log levels of the command line."""
    _state["stdout"] = arguments.stdout
    for name, level in arguments.log_levels:
        set_logger_level(name or "", get_logging_severity_from_string(level))


def set_logger_level(name: str, level: int | LoggingSeverity) -> None:
    """What is less severe is left out, for the logger and those below it."""
    _levels[name] = LoggingSeverity(level)


def get_logger_level(name: str) -> LoggingSeverity:
    """The logger's own level, UNSET where it has none."""
    return _levels.get(name, LoggingSeverity.UNSET)


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """The level that counts: the logger's own, or that of the nearest one above."""
    while name:
        if _levels.get(name):
            return _levels[name]
        name = name.rpartition(".")[0]
    return _levels.get("") or LoggingSeverity.INFO


def get_logging_directory() -> Path:
    """Where ROS keeps log files; nothing is written there without a ROS installation."""
    home = os.environ.get("ROS_HOME") or str(Path.home() / ".ros")
    return Path(os.environ.get("ROS_LOG_DIR") or Path(home) / "log")


def initialize() -> None:
    """Nothing to do."""


def shutdown() -> None:
    """Nothing to do."""


def clear_config() -> None:
    """Forgets all levels."""
    _levels.clear()
    _levels[""] = LoggingSeverity.INFO


class RcutilsLogger:
    """A logger; dots in its name make a tree, in which levels are inherited."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._calls: dict[tuple[str, int], list[int]] = {}

    def get_child(self, name: str) -> RcutilsLogger:
        """The logger ``<this name>.<name>``."""
        if not name:
            raise ValueError("a child logger needs a name")
        return get_logger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: int | LoggingSeverity) -> None:
        """What is less severe is left out."""
        set_logger_level(self.name, level)

    def get_effective_level(self) -> LoggingSeverity:
        """The level that counts."""
        return get_logger_effective_level(self.name)

    def is_enabled_for(self, severity: int | LoggingSeverity) -> bool:
        """Whether such a message would be shown."""
        return severity >= self.get_effective_level()

    def log(
        self,
        message: str,
        severity: int | LoggingSeverity,
        *,
        once: bool = False,
        skip_first: bool = False,
        throttle_duration_sec: float = 0.0,
        throttle_time_source_type: Any = None,
        name: str | None = None,
    ) -> bool:
        """Shows a message; ``once``, ``skip_first`` and throttling count per place in the code.

        ``throttle_time_source_type`` is a Clock. False where the message is left out.
        """
        severity = LoggingSeverity(severity)
        if not self.is_enabled_for(severity):
            return False
        frame: Any = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename == _THIS_FILE:
            frame = frame.f_back
        if once or skip_first or throttle_duration_sec:
            clock = throttle_time_source_type
            now_ns = clock.now().nanoseconds if clock is not None else time.monotonic_ns()
            calls = self._calls.setdefault((frame.f_code.co_filename, frame.f_lineno), [])
            if self._left_out(calls, now_ns, once, skip_first, throttle_duration_sec):
                return False
        _show(self.name if name is None else name, severity, str(message), frame)
        return True

    @staticmethod
    def _left_out(
        calls: list[int], now_ns: int, once: bool, skip_first: bool, throttle_s: float
    ) -> bool:
        """``calls`` holds how often the place was reached, and when it last said something."""
        if not calls:
            calls += [0, -1]
        calls[0] += 1
        if skip_first and calls[0] == 1:
            return True
        said_ns = calls[1]
        if said_ns >= 0 and (once or now_ns - said_ns < throttle_s * S_TO_NS):
            return True
        calls[1] = now_ns
        return False

    def debug(self, message: str, **kwargs: Any) -> bool:
        """``log`` with DEBUG."""
        return self.log(message, LoggingSeverity.DEBUG, **kwargs)

    def info(self, message: str, **kwargs: Any) -> bool:
        """``log`` with INFO."""
        return self.log(message, LoggingSeverity.INFO, **kwargs)

    def warning(self, message: str, **kwargs: Any) -> bool:
        """``log`` with WARN."""
        return self.log(message, LoggingSeverity.WARN, **kwargs)

    warn = warning

    def error(self, message: str, **kwargs: Any) -> bool:
        """``log`` with ERROR."""
        return self.log(message, LoggingSeverity.ERROR, **kwargs)

    def fatal(self, message: str, **kwargs: Any) -> bool:
        """``log`` with FATAL."""
        return self.log(message, LoggingSeverity.FATAL, **kwargs)


_loggers: dict[str, RcutilsLogger] = {}


def get_logger(name: str) -> RcutilsLogger:
    """The logger of that name."""
    return _loggers.setdefault(name, RcutilsLogger(name))


def add_sink(name: str, sink: Callable[[int, LoggingSeverity, str, str, Any], None]) -> None:
    """Also hands messages of the logger and its children to ``sink``.

    It is called as ``sink(stamp_ns, severity, logger name, message, frame of the caller)``.
    """
    _sinks[name] = sink


def remove_sink(name: str) -> None:
    """Ends ``add_sink``."""
    _sinks.pop(name, None)


def _show(name: str, severity: LoggingSeverity, message: str, frame: Any) -> None:
    stamp_ns = time.time_ns()
    if _state["stdout"]:
        sec, nanosec = divmod(stamp_ns, S_TO_NS)
        line = f"[{severity.name}] [{sec}.{nanosec:09d}] [{name}]: {message}"
        forced = os.environ.get("RCUTILS_COLORIZED_OUTPUT")
        if forced == "1" or (forced is None and sys.stderr.isatty()):
            line = f"\033[{_COLOURS[severity]}m{line}\033[0m"
        with _print_lock:
            print(line, file=sys.stderr, flush=True)
    logger = name
    while logger:
        if logger in _sinks:
            _sinks[logger](stamp_ns, severity, name, message, frame)
            return
        logger = logger.rpartition(".")[0]
