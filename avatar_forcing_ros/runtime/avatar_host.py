"""Many live avatars in one process of their own, on one set of weights.

Each is used as one with a process of its own is. They share that process's fate: where it ends by
itself all begin anew, in another.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import TYPE_CHECKING, cast

from avatar_forcing_ros.runtime.avatar_child import host_avatars
from avatar_forcing_ros.runtime.avatar_process import (
    ANSWER_S,
    END_S,
    READY_S,
    AvatarProcess,
    ProcessHandle,
    gone,
)

if TYPE_CHECKING:  # so that this process does without the networks' libraries
    from avatar_forcing_ros.runtime.session import Session
    from avatar_forcing_ros.runtime.shared_weights import SharedWeights
    from avatar_forcing_ros.runtime.step_scheduler import SchedulerStatus

DYING_S = 1.0  # between the end of a process's connections and its own


class AvatarHost:
    """A process that holds the weights, and serves an avatar to whoever asks for one.

    `make_weights` is called there, and has to be something that can be pickled, as
    ``partial(SharedWeights, config)``. How many avatars there may be is for the caller to say.
    Raises what `make_weights` raises, and ConversationError where the process does not come up.
    """

    def __init__(self, make_weights: Callable[[], SharedWeights]) -> None:
        self._make_weights = make_weights
        self._lock = threading.Lock()
        self._closed = False
        self._numbers = itertools.count()
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._control, there = context.Pipe()
        self._process = context.Process(
            target=host_avatars, args=(self._make_weights, there), daemon=True
        )
        self._process.start()
        there.close()
        try:
            if not self._control.poll(READY_S):
                raise EOFError
            error = self._control.recv()
        except (EOFError, OSError):
            self._process.kill()
            raise gone("it to come up", "start it again, and look at what it printed") from None
        if error is not None:
            self._process.join(END_S)
            raise error

    def new_avatar(self, on_warning: Callable[[str, str], None]) -> AvatarProcess:
        """One more avatar, with the configuration's face, which takes a second or so.

        `close` it to give its place back. `on_warning` is as in `AvatarProcess`.
        """
        return _HostedAvatar(self, on_warning)

    def open(self, lost_pid: int | None = None) -> tuple[Connection, ProcessHandle]:
        """A way to one more avatar; begins another process where the last has ended by itself.

        `lost_pid` is the process that the avatar was in before, and lost.
        """
        with self._lock:
            if self._closed:
                raise gone("it to begin", "make another host")
            if self._process.pid == lost_pid:
                self._process.join(DYING_S)
            if not self._process.is_alive():
                self._begin()
            here, there = multiprocessing.Pipe()
            try:
                self._control.send("avatar")
                # nothing of it stays here: where the process ends, so does the connection
                send_handle(self._control, there.fileno(), self.pid)
            except OSError:
                raise gone("it to begin another avatar", "try again in a moment") from None
            finally:
                there.close()
            return here, _Seat(self._process)

    def status(self) -> SchedulerStatus:
        """What the process has made of all its avatars' blocks so far; waits for the answer.

        Raises ConversationError where none comes.
        """
        with self._lock, suppress(EOFError, OSError):
            number = next(self._numbers)
            self._control.send(number)
            while self._control.poll(ANSWER_S):
                answered, status = self._control.recv()
                if answered == number:  # else it is late, and of an earlier one
                    return cast("SchedulerStatus", status)
        raise gone("its status", "try again in a moment")

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process.pid is not None
        return self._process.pid

    def close(self) -> None:
        """End the process, and every avatar in it that was not closed."""
        with self._lock:
            self._closed = True
            with suppress(OSError):
                self._control.send("end")
            self._process.join(END_S)
            if self._process.is_alive():
                self._process.kill()


class _HostedAvatar(AvatarProcess):
    """One of a host's avatars."""

    def __init__(self, host: AvatarHost, on_warning: Callable[[str, str], None]) -> None:
        self._host = host
        self._pid: int | None = None
        super().__init__(_made_by_host, on_warning)

    def _open(self) -> tuple[Connection, ProcessHandle]:
        connection, process = self._host.open(self._pid)
        self._pid = process.pid
        return connection, process


class _Seat:
    """An avatar's place in a process that others use: it ends with its connection."""

    def __init__(self, process: ProcessHandle) -> None:
        self._process = process

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def exitcode(self) -> int | None:
        return self._process.exitcode

    def is_alive(self) -> bool:
        return False  # there is nothing to be killed for this one

    def kill(self) -> None:
        """The others need the process."""

    def join(self, timeout: float | None = None) -> None:
        """Nothing is to be waited for."""


def _made_by_host() -> Session:
    raise AssertionError("the host makes the sessions")
