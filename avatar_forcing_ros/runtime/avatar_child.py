"""The other half of `avatar_process`: the process in which the avatar lives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.media import AvatarFrame

if TYPE_CHECKING:
    from avatar_forcing_ros.runtime.avatar import LiveAvatar
    from avatar_forcing_ros.runtime.session import Session


def live(
    make_session: Callable[[], Session], config: LiveConfig | None, connection: Connection
) -> None:
    """The other process: do as the letters say until there are no more."""
    # here, so that the process that starts this one does without the networks' libraries
    from avatar_forcing_ros.runtime.avatar import LiveAvatar

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's, which is the parent's to answer
    sending = threading.Lock()

    def send(*letter: Any) -> None:
        with sending, suppress(OSError):
            connection.send(letter if len(letter) > 1 else letter[0])

    try:
        avatar = LiveAvatar(make_session(), lambda text: send("trouble", text), config)
        avatar.warm_up()
    except AvatarForcingError as error:
        send(error)
        return
    send(avatar.portrait)

    def show(frame: AvatarFrame) -> None:
        send("frame", frame, avatar.status, avatar.lag_ms)

    doing: dict[str, Callable[..., Future[Any] | None]] = {
        "start": lambda: avatar.start(show),
        "stop": avatar.stop,
        "stop_speaking": avatar.stop_speaking,
        "set_portrait": avatar.set_portrait,
    }
    with suppress(EOFError, OSError):
        while (letter := connection.recv())[0] != "end":
            if letter[0] == "ask":
                _, number, what, *more = letter
                _answer(doing[what], more, partial(send, "answer", number))
            else:
                try:
                    _hand_on(avatar, *letter)
                except Exception as error:  # no input ends the avatar
                    send("trouble", f"an input was left out ({type(error).__name__}: {error})")
    avatar.stop()


def _hand_on(avatar: LiveAvatar, kind: str, what: Any) -> None:
    if kind == "see":
        avatar.push_user_frame(what)
    elif kind == "hear":
        avatar.push_user_audio(what)
    else:
        avatar.say(what)


def _answer(
    do: Callable[..., Future[Any] | None], more: list[Any], tell: Callable[[Any], None]
) -> None:
    """Do it and tell what came of it, now or when it is done."""
    try:
        result = do(*more)
    except Exception as error:  # whoever asked decides what it means
        tell(error)
        return
    if result is None:
        tell(None)
    else:
        result.add_done_callback(lambda done: tell(done.exception() or done.result()))
