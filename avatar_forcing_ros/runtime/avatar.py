"""A live avatar that somebody talks with: a session, its two threads and a steady clock.

It can be started and stopped again and again, and costs nothing while it is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.commands import done, too_late
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.runtime.stoppable_thread import WakingThread
from avatar_forcing_ros.runtime.waiting_voice import nobody_listens, waiting_with_s
from avatar_forcing_ros.runtime.worker import AvatarWorker
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

T = TypeVar("T")
WARM_UP_BLOCKS = 2
STOP_S = 5.0


class LiveAvatar:
    """`trouble` is told in a sentence, in whatever thread, when something went wrong."""

    def __init__(
        self, session: Session, trouble: Callable[[str], None], config: LiveConfig | None = None
    ) -> None:
        self._session, self._trouble = session, trouble
        self._config = config or LiveConfig()
        self._worker: AvatarWorker | None = None
        self._pacer: Pacer | None = None
        self._busy: list[WakingThread] = []  # that did not end in time

    def warm_up(self) -> None:
        """Compute what is slow the first time."""
        for _ in range(WARM_UP_BLOCKS):
            self._session.draw(self._session.next_block())
        self._session.reset()

    def start(self, show: Callable[[AvatarFrame], None]) -> None:
        """Begin a conversation; `show` gets every frame when it is due, in a thread of its own.

        Raises ConversationError where one goes on, or its end still takes its time.
        """
        if self._worker:
            raise _refused("none that goes on", "one that does", "stop it first")
        self._wait_for_the_last()
        self._session.reset()
        self._session.codec.watch()
        keep_pace = self._config.keep_pace
        pacer = Pacer(self.now_ns, show, self._trouble, keep_pace=keep_pace)
        worker = AvatarWorker(self._session, self._config, self.now_ns, pacer.put, self._trouble)
        pacer.start()
        worker.start()
        self._pacer, self._worker = pacer, worker

    def stop(self) -> None:
        """End the conversation, in some seconds at most; `trouble` is told if that is too short.

        What is still busy then goes on in the background, and `start` refuses until it has ended.
        """
        worker, pacer = self._worker, self._pacer
        self._worker = self._pacer = None
        for thread in (worker, pacer):
            if thread and not thread.stop(STOP_S):
                self._busy.append(thread)
                what = type(thread).__name__
                self._trouble(f"{what} is still busy; it ends as soon as it can")

    def _wait_for_the_last(self) -> None:
        """The session cannot be had while it is in use."""
        self._busy = [thread for thread in self._busy if not thread.stop(STOP_S)]
        if self._busy:
            names = ", ".join(type(thread).__name__ for thread in self._busy)
            raise _refused("the last one to have ended", f"{names} still busy", "try again later")

    @staticmethod
    def now_ns() -> int:
        """The clock of all stamps."""
        return time.monotonic_ns()

    @property
    def running(self) -> bool:
        """Whether a conversation goes on."""
        return self._worker is not None

    @property
    def status(self) -> AvatarStatus:
        """What has been done since the conversation began."""
        worker, pacer = self._worker, self._pacer
        return pacer.told(worker.status) if worker and pacer else AvatarStatus()

    @property
    def lag_ms(self) -> float:
        """How long after its media time a frame is shown."""
        pacer = self._pacer
        return pacer.lag.lag_ns / 1e6 if pacer else 0.0

    @property
    def portrait(self) -> Portrait:
        """The face that is shown."""
        return self._session.codec.portrait

    @property
    def portrait_size_px(self) -> int:
        """The side of the pictures, and of a portrait for them."""
        return self._session.codec.image_size_px

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Sound of the person, 16 kHz."""
        worker = self._worker  # another thread may stop it meanwhile
        if worker:
            worker.push_user_audio(chunk)

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Picture of the person."""
        worker = self._worker
        if worker:
            worker.push_user_frame(frame)

    def say(self, samples: NDArray[np.float32]) -> float:
        """Have `samples` ``[n]``, 16 kHz, said after what waits; how many seconds wait then.

        Raises MediaError where nobody is there to hear it, or too much waits already.
        """
        worker = self._worker
        if worker is None:
            raise nobody_listens()
        waiting_s = waiting_with_s(worker.status.waiting_voice_samples, samples)
        worker.push_avatar_audio(AudioChunk(samples, SAMPLE_RATE_HZ, self.now_ns()))
        return waiting_s

    def stop_speaking(self) -> Future[int]:
        """Drop all voice that was not shown yet; how many samples that were."""
        worker = self._worker
        if worker:
            return worker.stop_speaking(self._pacer)
        return self._do(lambda session: session.stop_speaking())

    def set_portrait(self, portrait: Portrait) -> Future[None]:
        """Go on with another face, of `portrait_size_px`."""
        return self._do(lambda session: session.set_portrait(portrait))

    def _do(self, command: Callable[[Session], T]) -> Future[T]:
        """Have `command` done by whoever owns the session at present."""
        worker = self._worker
        if worker:
            return worker.call(command)
        if not all(thread.ended for thread in self._busy):
            return done(too_late)
        return done(lambda: command(self._session))


def _refused(expected: str, got: str, remedy: str) -> ConversationError:
    return ConversationError("conversation", expected=expected, got=got, remedy=remedy)
