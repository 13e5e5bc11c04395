"""One use of ROS from ``init`` to ``shutdown``: participant, arguments, signals."""

from __future__ import annotations

import atexit
import contextlib
import enum
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from avatar_forcing_ros.standalone import wire
from avatar_forcing_ros.standalone.arguments import Arguments, parse
from avatar_forcing_ros.standalone.exceptions import NotInitializedException, RCLError
from avatar_forcing_ros.standalone.graph import Graph

_CLOSE_WAIT_S = 2.0


class Context:
    """Holds what all nodes of one ``init`` share."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._busy: list[int] = []
        self._valid = False
        self._participant: wire.Participant | None = None
        self._graph: Graph | None = None
        self._callbacks: list[Any] = []
        self._wakers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.arguments = Arguments()

    def init(
        self,
        args: Sequence[str] | None = None,
        *,
        initialize_logging: bool = True,
        domain_id: int | None = None,
    ) -> None:
        """Joins the DDS domain; raises RuntimeError where that was done before."""
        from avatar_forcing_ros.standalone import logging

        with self._lock:
            if self._valid:
                raise RuntimeError("Context.init() must only be called once")
            self._close()
            self.arguments = parse(sys.argv if args is None else args)
            if initialize_logging:
                logging.configure(self.arguments)
            self._participant = wire.Participant(
                wire.domain_id() if domain_id is None else domain_id
            )
            self._graph = Graph(self._participant)
            self._valid = True
        _living.add(self)

    def ok(self) -> bool:
        """Whether it is initialised and not shut down."""
        return self._valid

    def is_open(self) -> bool:
        """Whether DDS can be used: from ``init`` on, and a signal alone does not end it."""
        return self._participant is not None

    @property
    def participant(self) -> wire.Participant:
        """The participant; raises NotInitializedException without one."""
        if self._participant is None:
            raise NotInitializedException
        return self._participant

    @property
    def graph(self) -> Graph:
        """Who is there; raises NotInitializedException before ``init``."""
        if self._graph is None:
            raise NotInitializedException
        return self._graph

    def get_domain_id(self) -> int:
        """The number of the DDS domain."""
        return self.participant.domain

    def on_shutdown(self, callback: Callable[[], None]) -> None:
        """Calls back once when the context is shut down, at once if it is."""
        with self._lock:
            if self._participant is None or self._valid:
                bound = hasattr(callback, "__self__")
                reference = weakref.WeakMethod(callback) if bound else lambda: callback
                self._callbacks.append(reference)
                return
        callback()

    @contextlib.contextmanager
    def in_use(self, executor: Any) -> Iterator[None]:
        """While an executor waits on DDS; closing holds on until it has left."""
        with self._lock:
            self._wakers.add(executor)
            self._busy.append(threading.get_ident())
        try:
            yield
        finally:
            with self._lock:
                self._busy.remove(threading.get_ident())
                self._idle.notify_all()

    def invalidate(self) -> bool:
        """Ends all spinning without closing anything; False where it was ended before."""
        with self._lock:
            if not self._valid:
                return False
            self._valid = False
            callbacks, self._callbacks = self._callbacks, []
        for executor in list(self._wakers):
            executor.wake()
        for reference in callbacks:
            callback = reference()
            if callback is not None:
                callback()
        return True

    def _close(self) -> None:
        with self._lock:
            me = threading.get_ident()
            self._idle.wait_for(
                lambda: all(user == me for user in self._busy), timeout=_CLOSE_WAIT_S
            )
            participant, self._participant = self._participant, None
            self._graph = None
        if participant is not None:
            participant.close()

    def shutdown(self) -> None:
        """Leaves the domain; raises RCLError where that was done before."""
        first = self.invalidate()
        self._close()
        if not first:
            raise RCLError("the context was shut down already, or never initialised")

    def try_shutdown(self) -> None:
        """Leaves the domain, if that was not done before."""
        self.invalidate()
        self._close()

    def __enter__(self) -> Context:
        self.init()
        return self

    def __exit__(self, *_: object) -> None:
        self.try_shutdown()


_living: weakref.WeakSet[Context] = weakref.WeakSet()
_default = Context()


def get_default_context(*, shutting_down: bool = False) -> Context:
    """The context that everything belongs to unless it is told another one."""
    return _default


@atexit.register
def _leave_all_domains() -> None:
    # DDS has threads of its own, which must be gone before the interpreter is
    for context in list(_living):
        context.try_shutdown()


class SignalHandlerOptions(enum.IntFlag):
    """Which signals shut contexts down."""

    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


_previous: dict[int, Any] = {}


def install_signal_handlers(
    options: SignalHandlerOptions = SignalHandlerOptions.ALL,
) -> None:
    """From now on SIGINT and SIGTERM end spinning; only the main thread can install this."""
    if threading.current_thread() is not threading.main_thread():
        return
    for flag, number in (
        (SignalHandlerOptions.SIGINT, signal.SIGINT),
        (SignalHandlerOptions.SIGTERM, signal.SIGTERM),
    ):
        if options & flag and number not in _previous:
            _previous[number] = signal.signal(number, _on_signal)


def uninstall_signal_handlers() -> None:
    """What ``install_signal_handlers`` replaced is back."""
    for number in list(_previous):
        signal.signal(number, _previous.pop(number))


def get_current_signal_handlers_options() -> SignalHandlerOptions:
    """Which signals are handled now."""
    found = SignalHandlerOptions.NO
    if signal.SIGINT in _previous:
        found |= SignalHandlerOptions.SIGINT
    if signal.SIGTERM in _previous:
        found |= SignalHandlerOptions.SIGTERM
    return found


def _on_signal(number: int, frame: Any) -> None:
    for context in list(_living):
        context.invalidate()
    before = _previous.get(number)
    if callable(before):  # for SIGINT Python's own, which raises KeyboardInterrupt
        before(number, frame)
