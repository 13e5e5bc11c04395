"""One process of a launch: its words on the screen, and its end, which is sure to come."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_LAST_WORDS_S = 1.0


@dataclass(frozen=True)
class StopTimes:
    """How long after SIGINT a process gets SIGTERM, and how long after that SIGKILL."""

    sigterm_s: float = 5.0
    sigkill_s: float = 5.0


class Process:
    """A running program, in a session of its own.

    So the terminal's Ctrl-C reaches the launch alone, which tells each process once; and with
    the process go all that it started. `say` gets its words line by line, `ended` its
    number and exit code, both from other threads. Raises OSError where it cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: str | None,
        times: StopTimes,
        say: Callable[[str], None],
        ended: Callable[[int, int], None],
    ) -> None:
        self.name = name
        self._times = times
        self._say = say
        self._ended = ended
        self._next: list[tuple[float, signal.Signals]] = []
        self._popen = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._pump = threading.Thread(target=self._read, name=f"{name} output", daemon=True)
        self._waiter = threading.Thread(target=self._wait, name=f"{name} end", daemon=True)
        self._pump.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with contextlib.suppress(ValueError):  # closed, because something else held it open
            for line in self._popen.stdout:
                self._say(line.rstrip("\n"))

    def _wait(self) -> None:
        code = self._popen.wait()
        self._signal(signal.SIGKILL)  # what it started and left behind
        self._pump.join(_LAST_WORDS_S)
        self._ended(self.pid, code)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def stop(self) -> None:
        """Asks it to end; `escalate` is to be called now and then until it has."""
        if self._next:
            return
        now_s = time.monotonic()
        term_s = now_s + self._times.sigterm_s
        self._next = [
            (now_s, signal.SIGINT),
            (term_s, signal.SIGTERM),
            (term_s + self._times.sigkill_s, signal.SIGKILL),
        ]
        self.escalate()

    def escalate(self) -> str | None:
        """Sends the signal whose time has come; returns its name if it was not the first."""
        if not self._next or time.monotonic() < self._next[0][0]:
            return None
        _, number = self._next.pop(0)
        if not self._next:  # SIGKILL may be sent again, and must not be the last thing tried
            self._next = [(time.monotonic() + 1.0, signal.SIGKILL)]
        self._signal(number)
        return None if number == signal.SIGINT else number.name

    def kill(self) -> None:
        """Ends it now."""
        self._next = [(0.0, signal.SIGKILL)]
        self.escalate()

    def join(self) -> None:
        """Waits for its last words; only after `ended`."""
        self._waiter.join()
