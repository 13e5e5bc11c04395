"""Child processes that end together, and with the process that started them."""

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
    (PR_SET_PDEATHSIG). Use it in the main thread: the kernel takes the end of the thread that
    starts a process for its parent's.
    """

    def __init__(self, report: Callable[[str], None] = print) -> None:
        self._report = report
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> ProcessGroup:
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
        self._children[name] = child
        self._threads.append(threading.Thread(target=self._follow, args=(name, child)))
        self._threads[-1].daemon = True
        self._threads[-1].start()

    def ended(self) -> dict[str, int]:
        """Exit codes, by name, of those that ended since this was last asked."""
        codes = {name: child.poll() for name, child in self._children.items()}
        ended = {name: code for name, code in codes.items() if code is not None}
        for name in ended:
            _signal_session(self._children.pop(name).pid, signal.SIGKILL)  # what it left behind
        return ended

    def __exit__(self, *_: object) -> None:
        for number, patience_s in _ENDS:
            for child in self._children.values():
                _signal_session(child.pid, number)
            end_s = time.monotonic() + patience_s
            for child in self._children.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, end_s - time.monotonic()))
            self.ended()
        for thread in self._threads:
            thread.join(1.0)

    def _follow(self, name: str, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self._report(f"[{name}] {line.rstrip()}")


def _signal_session(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
