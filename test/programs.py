"""Commands of this package as processes; the DDS domain is that of the test worker."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0


def wait_until(done: Callable[[], Any]) -> Any:
    """Waits for something that does not announce when it happens; returns it."""
    end_s = time.monotonic() + PATIENCE_S
    while not (found := done()):
        assert time.monotonic() < end_s, "it did not happen in time"
        threading.Event().wait(0.02)
    return found


def is_alive(pid: int) -> bool:
    """Whether there is such a process, other than one that waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _hear_hangups() -> None:
    """Under nohup the tests ignore SIGHUP, and with them whatever they start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Program:
    """A Python program in the background; on leaving it is ended, whatever it takes."""

    def __init__(self, *words: object, **options: Any) -> None:
        self._lines: list[str] = []
        self._ended = False  # its output
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **{"preexec_fn": _hear_hangups, **options},
        )
        self._pump = threading.Thread(target=self._read, daemon=True)
        self._pump.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def text(self) -> str:
        """All that it has written."""
        with self._news:
            return "\n".join(self._lines)

    def writes(self, wanted: str) -> str:
        """Waits for a line that holds `wanted`; returns the line."""
        return self.writes_line(lambda line: wanted in line)

    def writes_line(self, is_wanted: Callable[[str], bool]) -> str:
        """Waits for such a line; returns it."""

        def line() -> str | None:
            return next(filter(is_wanted, self._lines), None)

        with self._news:
            self._news.wait_for(lambda: line() is not None or self._ended, PATIENCE_S)
            found = line()
            assert found is not None, "no such line in:\n" + "\n".join(self._lines)
            return found

    def signal(self, *numbers: signal.Signals) -> None:
        for number in numbers:
            self._process.send_signal(number)

    def ends(self) -> int:
        """Waits for its end; returns its exit code."""
        code = self._process.wait(PATIENCE_S)
        self._pump.join(PATIENCE_S)
        return code

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()  # so that it can end its own
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._pump.join(PATIENCE_S)


def command(*words: object, **options: Any) -> Program:
    """``avatar-forcing WORDS`` in the background."""
    return Program("-m", "avatar_forcing_ros.cli", *words, **options)


def completed(*words: object) -> tuple[int, str]:
    """(exit code, all that was written) of a command that ends by itself."""
    with command(*words) as program:
        return program.ends(), program.text
