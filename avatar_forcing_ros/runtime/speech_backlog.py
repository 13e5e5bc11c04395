"""How much speech still waits, by the clock: a status that comes with the frames is late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ


class SpeechBacklog:
    """Counts speech that is handed over at once and spoken at its own pace; thread-safe."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._ends_s = 0.0  # when all of it will have been spoken

    def add(self, samples: int) -> None:
        """Note `samples`, 16 kHz, that are spoken after what waits."""
        with self._lock:
            self._ends_s = max(self._ends_s, self._now_s()) + samples / SAMPLE_RATE_HZ

    def clear(self) -> None:
        """Nothing waits any more."""
        with self._lock:
            self._ends_s = 0.0

    @property
    def samples(self) -> int:
        """How many samples have not been spoken yet."""
        return round(max(0.0, self._ends_s - self._now_s()) * SAMPLE_RATE_HZ)
