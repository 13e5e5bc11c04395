"""What long commands share: a progress bar, and an end by signals."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_UP_S = 0.2


class _StopEvent(threading.Event):
    """Looks up now and then while it waits.

    A signal that comes to another thread, or just before the main thread sleeps, does not wake it,
    and handlers run nowhere else.
    """

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is set, or for `timeout` seconds; whether it is set."""
        end_s = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (left_s := end_s - time.monotonic()) > 0:
            super().wait(min(left_s, _LOOK_UP_S))
        return self.is_set()


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set, instead of ending the process half-way.

    A second SIGINT raises KeyboardInterrupt, for somebody who does not want to wait.
    """
    stop = _StopEvent()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ProgressBar:
    """A bar with the real-time factor; nothing where stderr is no terminal."""

    def __init__(self, unit_s: float) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="frame", disable=None, leave=False, dynamic_ncols=True)
        self._unit_s = unit_s

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        elapsed = self._bar.format_dict["elapsed"]
        if elapsed:
            self._bar.set_postfix_str(f"{done * self._unit_s / elapsed:.2f} x real time")
