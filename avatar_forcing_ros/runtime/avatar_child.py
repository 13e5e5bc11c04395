"""The other half of `avatar_process`: the process in which the avatars live."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.media import AvatarFrame

if TYPE_CHECKING:
    from avatar_forcing_ros.runtime.avatar import Avatar
    from avatar_forcing_ros.runtime.session import Session

MakeSession = Callable[[], "Session"]


def run_avatars(make_session: MakeSession, connections: Sequence[Connection]) -> None:
    """Have an avatar for each of `connections`, and do what messages ask for until they end.

    The first one's portrait is sent over the first connection as soon as it is ready. The others
    are made after that, one after the other; none of them waits for what another one does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's, which is the parent's to answer
    one_at_a_time = threading.Lock()
    hosted = [_HostedAvatar(each, make_session, one_at_a_time) for each in connections]
    first, *others = hosted
    try:
        avatar = first.avatar()
    except AvatarForcingError as error:
        first.send(error)
        return
    first.send(avatar.portrait)
    threads = [threading.Thread(target=each.run, name="avatar-messages") for each in others]
    for thread in threads:
        thread.start()
    first.run()
    for thread in threads:
        thread.join()


class _HostedAvatar:
    """One avatar, and the connection through which it is told what to do."""

    def __init__(
        self, connection: Connection, make_session: MakeSession, one_at_a_time: threading.Lock
    ) -> None:
        self._connection, self._make_session = connection, make_session
        self._one_at_a_time = one_at_a_time  # so many are made
        self._sending = threading.Lock()
        self._avatar: Avatar | None = None

    def avatar(self) -> Avatar:
        """The avatar, made now if it was not yet; raises what making it raises."""
        # here, so that the process that starts this one does without the networks' libraries
        from avatar_forcing_ros.runtime.avatar import Avatar

        if self._avatar is None:
            with self._one_at_a_time:
                avatar = Avatar(self._make_session(), self.warn)
                avatar.warm_up()
            self._avatar = avatar
        return self._avatar

    def send(self, message: Any) -> None:
        """Send it, if anybody is there."""
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def warn(self, where: str, sentence: str) -> None:
        """Send a warning."""
        self.send(("warning", where, sentence))

    def run(self) -> None:
        """Do what the messages ask for until there are no more."""
        try:
            self.avatar()
        except Exception as error:  # it is tried again when somebody asks something of it
            self.warn("process", f"an avatar could not be made ({error}); it is tried again")
        with suppress(EOFError, OSError):
            while (message := self._connection.recv())[0] != "end":
                self._obey(*message)
        if self._avatar:
            self._avatar.stop()

    def _obey(self, verb: str, *arguments: Any) -> None:
        if verb == "call":
            number, method, *rest = arguments
            _answer(partial(self._do, method, rest), partial(self._reply, number))
            return
        try:
            getattr(self.avatar(), verb)(*arguments)
        except Exception as error:  # no input ends the avatar
            self.warn("process", f"an input was left out ({type(error).__name__}: {error})")

    def _do(self, method: str, arguments: Sequence[Any]) -> Future[Any] | None:
        avatar = self.avatar()
        if method == "start":
            arguments = [self._on_frame, *arguments]
        result: Future[Any] | None = getattr(avatar, method)(*arguments)
        return result

    def _on_frame(self, frame: AvatarFrame) -> None:
        self.send(("frame", frame, self.avatar().status))

    def _reply(self, number: int, value: Any) -> None:
        self.send(("answer", number, value))


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
