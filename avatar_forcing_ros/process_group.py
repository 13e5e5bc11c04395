"""Child processes that end together, and with whoever started them, however that ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
# each kind of end has so long before the next
_ENDS = ((signal.SIGINT, 5.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


class ProcessGroup:
    """Processes, each with all its descendants in a session of its own; use it as a context.

    So Ctrl-C in the terminal reaches us alone, and leaving the context ends all of them, in turn
    by SIGINT, SIGTERM and SIGKILL. If we are killed outright, the kernel kills each child at once
    (PR_SET_PDEATHSIG), and a watchdog, which sees our end of a pipe close, their descendants.
    Make and use it in the main thread: the kernel takes the end of the thread that starts a
    process for its parent's.
    """

    def __init__(self, report: Callable[[str], None] = print) -> None:
        self._report = report
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> ProcessGroup:
        read, self._pipe = os.pipe()
        self._watchdog = os.fork()
        if self._watchdog == 0:
            os.close(self._pipe)
            _watch(read)
        os.close(read)
        return self

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start one; what it writes is reported line by line, after its name."""
        parent = os.getpid()

        def end_with_parent() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it has died already, and nothing will come
                os._exit(1)

        child = subprocess.Popen(
            command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True, preexec_fn=end_with_parent,
        )  # fmt: skip
        os.write(self._pipe, f"{child.pid}\n".encode())
        self._children[name] = child
        self._threads.append(threading.Thread(target=self._follow, args=(name, child)))
        self._threads[-1].daemon = True
        self._threads[-1].start()

    def ended(self) -> dict[str, int]:
        """Exit codes, by name, of those that ended since this was last asked."""
        codes = {name: child.poll() for name, child in self._children.items()}
        ended = {name: code for name, code in codes.items() if code is not None}
        for name in ended:
            leader = self._children.pop(name).pid
            _signal_session(leader, signal.SIGKILL)  # what it started and left behind
            os.write(self._pipe, f"{leader}\n".encode())
        return ended

    def __exit__(self, *_: object) -> None:
        try:
            for number, patience_s in _ENDS:
                for child in self._children.values():
                    _signal_session(child.pid, number)
                end_s = time.monotonic() + patience_s
                for child in self._children.values():
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(max(0.0, end_s - time.monotonic()))
                self.ended()
        finally:
            os.close(self._pipe)  # the watchdog kills what is left
            os.waitpid(self._watchdog, 0)
            for thread in self._threads:
                thread.join(1.0)

    def _follow(self, name: str, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self._report(f"[{name}] {line.rstrip()}")


def _watch(pipe: int) -> None:
    """The watchdog: once the pipe's other end closes, it kills the sessions named there once.

    One that is named again has ended, and its number may be another's by then.
    """
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.setsid()
        alive: set[int] = set()
        with open(pipe) as numbers:
            for line in numbers:
                alive ^= {int(line)}
        for leader in alive:
            _signal_session(leader, signal.SIGKILL)
    finally:
        os._exit(0)


def _signal_session(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
