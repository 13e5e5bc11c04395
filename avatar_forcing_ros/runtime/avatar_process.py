"""A live avatar in a process of its own, so that nothing else in Python makes it late.

Threads of one process take turns at Python. A web server beside the avatar has little to compute,
but takes its turns thousands of times a second: in one process answers took half a second, in two
a fifth.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import AvatarForcingError, ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.avatar_child import live
from avatar_forcing_ros.runtime.ipc_messages import Letter, Sender
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.runtime.waiting_voice import nobody_listens, waiting_with_s

READY_S = 300.0  # a large network may come from a slow disk
ANSWER_S = 15.0
END_S = 10.0
QUICK_END_S = 20.0  # a process that ends so soon after it began is not begun again
if TYPE_CHECKING:  # so that this process does without the networks' libraries
    from avatar_forcing_ros.runtime.session import Session

Show = Callable[[AvatarFrame], None]


class AvatarProcess:
    """What `LiveAvatar` does, done elsewhere; methods and what they mean are its own.

    `make_session` is called there, and has to be something that can be pickled. `trouble` is told
    in a sentence, in whatever thread, when something went wrong. A process that ends by itself is
    begun anew, and so is the conversation.

    Raises what `make_session` raises, and ConversationError where the process does not come up.
    """

    def __init__(
        self,
        make_session: Callable[[], Session],
        trouble: Callable[[str], None],
        config: LiveConfig | None = None,
    ) -> None:
        self._make_session, self._trouble, self._config = make_session, trouble, config
        self._show: Show | None = None
        self._status, self._lag_ms = AvatarStatus(), 0.0
        self._answers: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        self._closing = self._over = False
        # around who is shown what, what is asked and which process there is; nobody waits in it
        self._lock = threading.RLock()
        self._held: list[Letter] | None = None  # what is asked while another process begins
        self._begin()
        self._first_portrait = self._portrait
        self._reader = threading.Thread(target=self._read, name="avatar-reader", daemon=True)
        self._reader.start()

    def _begin(self) -> None:
        """Have a process that is ready."""
        context = multiprocessing.get_context("spawn")
        with self._lock:
            if self._closing:
                raise _gone("it to begin", "make another avatar")
            self._connection, there = context.Pipe()
            self._process = context.Process(
                target=live, args=(self._make_session, self._config, there), daemon=True
            )
            self._process.start()
        there.close()
        try:
            if not self._connection.poll(READY_S):
                raise EOFError
            told = self._connection.recv()
        except (EOFError, OSError):
            self._process.kill()
            raise _gone("it to come up", "start it again, and look at what it printed") from None
        if isinstance(told, Exception):
            self._process.join(END_S)
            raise told
        self._began_s = time.monotonic()
        self._portrait: Portrait = told
        self._sender = Sender(self._connection)
        self._sender.start()

    def start(self, show: Show) -> None:
        """Begin a conversation; ConversationError where one goes on, or its end takes time."""
        with self._lock:
            if self._show:
                raise ConversationError(
                    "conversation", expected="none that goes on", got="one", remedy="stop it first"
                )
            self._status, self._lag_ms = AvatarStatus(), 0.0
            self._show = show
            answer = self._ask("start")
        try:
            answer.result(ANSWER_S)
        except Exception as error:
            with self._lock:
                self._show = None
                self._ask("stop")  # else it would begin when it can, for nobody
            if isinstance(error, FutureTimeoutError):
                raise _late() from None
            raise

    def stop(self) -> None:
        """End the conversation, in some seconds at most."""
        with self._lock:
            self._show = None
            answer = self._ask("stop")
        try:
            answer.result(ANSWER_S)
        except (ConversationError, FutureTimeoutError, OSError):
            self._trouble("the avatar is still busy; it ends as soon as it can")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._closing, self._show = True, None
            if self._held is None:
                self._sender.put(("end",))
            else:
                self._process.kill()
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
        self._sender.stop()
        self._reader.join(END_S)

    @staticmethod
    def now_ns() -> int:
        """The clock of all stamps, which all processes share."""
        return time.monotonic_ns()

    @property
    def running(self) -> bool:
        """Whether a conversation goes on."""
        return self._show is not None

    @property
    def status(self) -> AvatarStatus:
        """What has been done since the conversation began, as of the newest frame.

        Pictures and sounds that were not taken over there in time are counted in it.
        """
        told, sender = self._status, self._sender
        return replace(
            told,
            dropped_pictures=told.dropped_pictures + sender.dropped_pictures,
            refused_inputs=told.refused_inputs + sender.dropped_sounds,
        )

    @property
    def lag_ms(self) -> float:
        """How long after its media time a frame is shown."""
        return self._lag_ms

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def portrait(self) -> Portrait:
        """The face that is shown."""
        return self._portrait

    @property
    def portrait_size_px(self) -> int:
        """The side of the pictures, and of a portrait for them."""
        return self._portrait.size_px

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Sound of the person, 16 kHz."""
        if self._show:
            self._sender.put(("hear", chunk))

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Picture of the person."""
        if self._show:
            self._sender.put(("see", frame))

    def say(self, samples: NDArray[np.float32]) -> float:
        """Have `samples` ``[n]``, 16 kHz, said; how many seconds wait then, or MediaError."""
        if not self._show:
            raise nobody_listens()
        waiting_s = waiting_with_s(self._status.waiting_voice_samples, samples)
        self._sender.put(("say", samples))
        return waiting_s

    def stop_speaking(self) -> Future[int]:
        """Drop all voice that was not shown yet; how many samples that were."""
        return self._ask("stop_speaking")

    def set_portrait(self, portrait: Portrait) -> Future[None]:
        """Go on with another face, of `portrait_size_px`."""

        def keep(done: Future[None]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._portrait = portrait

        answer = self._ask("set_portrait", portrait)
        answer.add_done_callback(keep)
        return answer

    def _ask(self, what: str, *more: Any) -> Future[Any]:
        answer = Future[Any]()
        with self._lock:
            if self._over:
                answer.set_exception(_gone("an answer", "start the program again"))
                return answer
            number = next(self._numbers)
            self._answers[number] = answer
            letter = ("ask", number, what, *more)
            if self._held is None:
                self._sender.put(letter)
            else:
                self._held.append(letter)
        return answer

    def _read(self) -> None:
        """Take what the process tells, until it is to end."""
        while True:
            try:
                letter = self._connection.recv()
            except (EOFError, OSError):
                if self._closing or not self._revive():
                    with self._lock:
                        self._over, self._show = True, None
                    self._lose_answers()
                    return
                continue
            self._take(letter)

    def _take(self, letter: Letter) -> None:
        kind = letter[0]
        if kind == "frame":
            _, frame, self._status, self._lag_ms = letter
            show = self._show
            if show:
                show(frame)
        elif kind == "trouble":
            self._trouble(letter[1])
        else:
            _, number, value = letter
            answer = self._answers.pop(number)
            if answer.set_running_or_notify_cancel():
                if isinstance(value, Exception):
                    answer.set_exception(value)
                else:
                    answer.set_result(value)

    def _revive(self) -> bool:
        """After the process has ended: begin another, with the same face, and go on."""
        with self._lock:
            self._held, goes_on, portrait = [], self._show is not None, self._portrait
        self._lose_answers()
        self._sender.stop()
        quick = time.monotonic() - self._began_s < QUICK_END_S
        self._trouble(
            f"the avatar's process ended by itself (exit code {self._process.exitcode})"
            + ("; it is not begun again" if quick else "; another begins")
        )
        if quick:
            return False
        try:
            self._begin()
        except AvatarForcingError as error:
            if not self._closing:
                self._trouble(str(error))
            return False
        with self._lock:
            held, self._held = self._held, None
            if portrait is not self._first_portrait:
                self.set_portrait(portrait)
            if goes_on:
                self._ask("start")
            for letter in held:
                self._sender.put(letter)
        return True

    def _lose_answers(self) -> None:
        with self._lock:
            answers, self._answers = self._answers, {}
        for answer in answers.values():
            if answer.set_running_or_notify_cancel():
                answer.set_exception(_gone("an answer", "try again in a moment"))


def _gone(expected: str, remedy: str) -> ConversationError:
    return ConversationError(
        "the avatar's process", expected=expected, got="its end", remedy=remedy
    )


def _late() -> ConversationError:
    return ConversationError(
        "the avatar's process",
        expected=f"an answer within {ANSWER_S:g} s",
        got="none",
        remedy="try again in a moment",
    )
