"""The process that avatars live in: begun, begun anew when it ends by itself, ended."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

from avatar_forcing_ros.errors import AvatarForcingError, ConversationError
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.avatar_child import run_avatars

if TYPE_CHECKING:  # so that this process does without the networks' libraries
    from avatar_forcing_ros.runtime.session import Session

READY_S = 300.0  # a large network may come from a slow disk
END_S = 10.0


class Line(NamedTuple):
    """What one avatar is talked with through."""

    connection: Connection
    process: int
    """Which process it leads to: how many have been begun before."""


class ProcessHost:
    """One process with `count` avatars, each with a line of its own; methods in any thread.

    `make_session` is called there once for each, and has to be something that can be pickled.
    `on_warning` gets where something went wrong, and a sentence.

    Raises what `make_session` raises, and ConversationError where the process does not come up.
    """

    def __init__(
        self,
        make_session: Callable[[], Session],
        on_warning: Callable[[str, str], None],
        count: int = 1,
    ) -> None:
        self._make_session, self._on_warning, self._count = make_session, on_warning, count
        self._beginning = threading.Lock()  # held while a process begins: whoever needs it waits
        self._lock = threading.Lock()  # around which process there is; nobody waits in it
        self._closing = self._is_over = False
        self._number = -1
        self._begin()

    def line(self, index: int) -> Line:
        """The line of avatar `index` of `count`."""
        return Line(self._connections[index], self._number)

    def next_line(self, index: int, after: int, quick_end_s: float) -> Line | None:
        """The line to a process begun after process number `after`, which has ended by itself.

        The first who asks begins it, and there is one warning. None where there is none: one that
        lived for less than `quick_end_s` is not begun again, and the end was perhaps asked for.
        """
        with self._beginning:
            if self._number == after and not self._closing and not self._is_over:
                self._is_over = not self._begin_again(quick_end_s)
            over = self._closing or self._is_over
            return None if over else self.line(index)

    def close(self) -> None:
        """Wait for the process, which was told to end, or end it."""
        with self._lock:
            self._closing = True
        self._process.join(END_S)
        self.kill()

    def kill(self) -> None:
        """End the process at once, and begin no other."""
        with self._lock:
            self._closing = True
            process = self._process
        if process.is_alive():
            process.kill()

    @property
    def closing(self) -> bool:
        """Whether it is to end."""
        return self._closing

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def portrait(self) -> Portrait:
        """The face that each avatar begins with."""
        return self._portrait

    def _begin_again(self, quick_end_s: float) -> bool:
        self._process.join(END_S)
        quick = time.monotonic() - self._began_s < quick_end_s
        self._on_warning(
            "process",
            f"the avatar's process ended by itself (exit code {self._process.exitcode})"
            + ("; it is not begun again" if quick else "; another begins"),
        )
        if quick:
            return False
        try:
            self._begin()
        except AvatarForcingError as error:
            if not self._closing:
                self._on_warning("process", str(error))
            return False
        return True

    def _begin(self) -> None:
        """Have a process that is ready."""
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(self._count)]
        there = [theirs for _, theirs in pairs]
        with self._lock:
            if self._closing:
                raise gone("it to begin", "make another avatar")
            self._process = context.Process(
                target=run_avatars, args=(self._make_session, there), daemon=True
            )
            self._process.start()
        for each in there:
            each.close()
        ours = [mine for mine, _ in pairs]
        try:
            if not ours[0].poll(READY_S):
                raise EOFError
            first = ours[0].recv()
        except (EOFError, OSError):
            self._process.kill()
            raise gone("it to come up", "start it again, and look at what it printed") from None
        if isinstance(first, Exception):
            self._process.join(END_S)
            raise first
        self._began_s = time.monotonic()
        self._portrait: Portrait = first
        self._connections = ours
        self._number += 1
        self._is_over = False


def gone(expected: str, remedy: str) -> ConversationError:
    """The error of whoever asks a process that is not there."""
    return ConversationError(
        "the avatar's process", expected=expected, got="its end", remedy=remedy
    )
