"""A thread that sleeps until there is something to do, and ends when it is asked to."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class StoppableThread(ABC):
    """Override `_run`: it waits on `_wake` and returns once `_stopping` is set."""

    def __init__(self, name: str) -> None:
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the thread; False if it was still busy after `timeout_s`."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return self.ended

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return not self.alive

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @abstractmethod
    def _run(self) -> None:
        """What the thread does."""
