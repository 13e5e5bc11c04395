"""The other half of `avatar_process` and `avatar_host`: the process in which avatars live."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.media import AvatarFrame

if TYPE_CHECKING:
    from avatar_forcing_ros.runtime.session import Session
    from avatar_forcing_ros.runtime.shared_weights import SharedWeights


def run_avatar(make_session: Callable[[], Session], connection: Connection) -> None:
    """Do what the messages ask for until there are no more; the process is for that alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's, which is the parent's to answer
    serve_avatar(make_session, connection)


def host_avatars(make_weights: Callable[[], SharedWeights], connection: Connection) -> None:
    """Serve an avatar, in a thread of its own, for every connection that comes.

    Each follows an "avatar"; a number is answered by itself and the status, "end" is the end. What
    is sent first is None, or the error with which the weights could not be had.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        weights = make_weights()
    except AvatarForcingError as error:
        connection.send(error)
        return
    connection.send(None)
    with suppress(EOFError, OSError), weights:
        while (asked := connection.recv()) != "end":
            if asked != "avatar":
                connection.send((asked, weights.status))
                continue
            link = Connection(recv_handle(connection))
            threading.Thread(
                target=_serve_and_close, args=(weights.new_session, link), daemon=True
            ).start()


def _serve_and_close(make_session: Callable[[], Session], connection: Connection) -> None:
    """Whatever ends it, the other side notices."""
    try:
        serve_avatar(make_session, connection)
    finally:
        connection.close()


def serve_avatar(make_session: Callable[[], Session], connection: Connection) -> None:
    """Do what the messages of one avatar ask for until there are no more."""
    # here, so that the process that starts this one does without the networks' libraries
    from avatar_forcing_ros.runtime.avatar import Avatar

    sending = threading.Lock()

    def send(message: Any) -> None:
        with sending, suppress(OSError):
            connection.send(message)

    def warn(where: str, sentence: str) -> None:
        send(("warning", where, sentence))

    try:
        avatar = Avatar(make_session(), warn)
        avatar.warm_up()
    except AvatarForcingError as error:
        send(error)
        return
    send(avatar.portrait)

    def on_frame(frame: AvatarFrame) -> None:
        send(("frame", frame, avatar.status))

    def reply(number: int, value: Any) -> None:
        send(("answer", number, value))

    with suppress(EOFError, OSError):
        while (message := connection.recv())[0] != "end":
            verb, *arguments = message
            if verb == "call":
                number, method, *arguments = arguments
                if method == "start":
                    arguments = [on_frame, *arguments]
                _answer(partial(getattr(avatar, method), *arguments), partial(reply, number))
                continue
            try:
                getattr(avatar, verb)(*arguments)
            except Exception as error:  # no input ends the avatar
                warn("process", f"an input was left out ({type(error).__name__}: {error})")
    avatar.close()


def _answer(call: Callable[[], Future[Any] | None], reply: Callable[[Any], None]) -> None:
    """Do it and reply with what came of it, now or when it is done."""
    try:
        result = call()
    except Exception as error:  # whoever asked decides what it means
        reply(error)
        return
    if result is None:
        reply(None)
    else:
        result.add_done_callback(lambda done: reply(done.exception() or done.result()))
