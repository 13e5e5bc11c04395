"""Commands whose result is a future: done, failed, or never to be done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, NoReturn, TypeVar

from avatar_forcing_ros.errors import ConversationError

T = TypeVar("T")


class Command(NamedTuple):
    """What is to be done between two blocks, after the `before` inputs since the last command."""

    run: Callable[[], Any]
    future: Future[Any]
    before: int
    forgets: bool  # the inputs of before it

    def resolve(self) -> None:
        """Do it, and give the future what came of it."""
        resolve(self.run, self.future)


def resolve(command: Callable[[], Any], future: Future[Any]) -> None:
    """Do `command`, and give `future` what came of it; nothing where that was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(command())
    except Exception as error:  # whoever asked decides what it means
        future.set_exception(error)


def resolved(command: Callable[[], T]) -> Future[T]:
    """Do `command` now."""
    future: Future[T] = Future()
    resolve(command, future)
    return future


def too_late() -> NoReturn:
    """Raises ConversationError: what a command gets that nobody will do any more."""
    raise ConversationError(
        "command",
        expected="a conversation that goes on",
        got="one that has ended",
        remedy="start the next one, then ask again",
    )
