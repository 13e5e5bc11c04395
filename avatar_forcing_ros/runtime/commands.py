"""Commands whose result is a future: done, failed, or never to be done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NoReturn, TypeVar

from avatar_forcing_ros.errors import ConversationError

T = TypeVar("T")


def settle(command: Callable[[], Any], future: Future[Any]) -> None:
    """Do `command`, and tell `future` what came of it; nothing where that was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(command())
    except Exception as error:  # whoever asked decides what it means
        future.set_exception(error)


def done(command: Callable[[], T]) -> Future[T]:
    """Do `command` now."""
    future: Future[T] = Future()
    settle(command, future)
    return future


def too_late() -> NoReturn:
    """Raises ConversationError: what a command is settled with that nobody will do any more."""
    raise ConversationError(
        "command",
        expected="a conversation that goes on",
        got="one that has ended",
        remedy="start the next one, then ask again",
    )
