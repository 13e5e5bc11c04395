"""The executables: signal handlers are installed first, then what takes long is imported.

Terminals, launch and service managers send several SIGINT, SIGTERM and SIGHUP, at any moment.
rclpy's own handlers are installed seconds after the start and shut the context down under whoever
publishes. Only the standard library is imported here, so that ours stand before anything else.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from avatar_forcing_ros.errors import missing_package

PACKAGE = __name__.partition(".")[0]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_executable(name: str, args: Sequence[str] | None = None, module: str = "") -> int:
    """Run the node `name` until it is asked to end; the process's exit code.

    Its `main` is in `module` of this package, by default in the node's own. A package that is
    missing is one sentence on stderr and 1.
    """
    signals = StopSignals()
    signals.install()
    # MediaPipe and TensorFlow Lite write start-up notes to stderr by default
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        found = importlib.import_module(f"{PACKAGE}.{module or f'nodes.{name}'}")
    except ImportError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        print(f"{name}: {missing}", file=sys.stderr)
        return 1
    return int(found.main(args, signals))


class Stopped(BaseException):
    """Raised in the main thread out of work that a request to end may interrupt."""


class StopSignals:
    """The request to end: `requested`, once a signal came or `request` was called."""

    def __init__(self) -> None:
        self.requested = False
        self._loading = True
        self._interruptible = False
        # A signal that comes to another thread, or just before the main thread sleeps, does not
        # wake it, and handlers run nowhere else; what is written to a file descriptor does.
        self._sleep, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        # unlike an Event, a SimpleQueue may be filled by a handler that interrupts its own user
        self._watched: queue.SimpleQueue[None] = queue.SimpleQueue()

    def install(self) -> None:
        """Take the signals over; until `loaded` they end the process at once, with 0."""
        for number in SIGNALS:
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if not (number == signal.SIGHUP and ignored):  # as nohup left it
                signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)

    def loaded(self) -> None:
        """From now on there is something that must be ended in order."""
        self._loading = False

    def request(self) -> None:
        """Ask for the end, from any thread."""
        self.requested = True
        with contextlib.suppress(BlockingIOError):  # then it is awake
            self._wake.send(b"\0")
        self._watched.put(None)

    def wait(self) -> None:
        """Sleep until the end is requested; for the main thread alone."""
        while not self.requested:
            self._sleep.recv(64)

    def end_within(self, seconds: float, end: Callable[[], None]) -> None:
        """Have `end` called so long after the request, if there is still a process then."""

        def watch() -> None:
            self._watched.get()
            time.sleep(seconds)
            end()

        threading.Thread(target=watch, name="end", daemon=True).start()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """A signal in this block raises Stopped; entering raises it where one came before."""
        hook = sys.unraisablehook

        def unraisable(unraised: Any) -> None:  # it came while a finalizer ran, and got lost
            if unraised.exc_type is not Stopped:
                hook(unraised)

        sys.unraisablehook = unraisable
        try:
            self._interruptible = True
            if self.requested:
                raise Stopped
            yield
        finally:
            self._interruptible = False
            sys.unraisablehook = hook

    @staticmethod
    def ignore() -> None:
        """Let no later signal cut the interpreter's own shutdown short."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._loading:
            os._exit(0)  # an exception would come out of any import, some of which swallow it
        self.request()
        if self._interruptible:
            self._interruptible = False  # once: the next one must not hit the way out
            raise Stopped
