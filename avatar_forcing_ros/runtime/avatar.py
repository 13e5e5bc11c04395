"""A live avatar that somebody talks with: a session, its threads and a clock.

It can be started and stopped again and again, and costs nothing while it is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import LiveConfig, SamplingConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.commands import resolved, too_late
from avatar_forcing_ros.runtime.conversation import draw_seed
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread
from avatar_forcing_ros.runtime.worker import AvatarWorker
from avatar_forcing_ros.streaming.directed_motion import GazeTarget

T = TypeVar("T")
OnFrame = Callable[[AvatarFrame], None]
OnWarning = Callable[[str, str], None]
STOP_S = 5.0


class Avatar:
    """The one live API, of `avatar_node` and of the page; methods may be called in any thread.

    `now_ns` is the clock of all stamps. `on_warning` gets where something went wrong ("worker",
    "pacer" or "stop") and a sentence about it, in whatever thread.
    """

    def __init__(
        self,
        session: Session,
        on_warning: OnWarning,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._session, self._on_warning = session, on_warning
        self.now_ns = now_ns
        self._worker: AvatarWorker | None = None
        self._pacer: Pacer | None = None
        self._busy: list[StoppableThread] = []  # that did not end in time

    def warm_up(self) -> None:
        """Compute what is slow the first time; on a GPU, at every quality, until all is recorded.

        A conversation that a recording interrupts for a second would be late at once.
        """
        session = self._session
        session.codec.warm_up()
        full, *less = session.quality_levels()
        for quality in (*less, full) if session.engine.is_recorded else (full,):
            session.set_quality(quality)
            for blocks in session.engine.warm_up_blocks:
                for _ in range(blocks):
                    session.draw(session.next_block())
                session.reset()

    def start(
        self,
        on_frame: OnFrame,
        config: LiveConfig | None = None,
        snapshot: bytes | None = None,
    ) -> None:
        """Begin a conversation; `on_frame` gets every frame when it is due, in its own thread.

        With `snapshot`, go on with that one: what was said up to then is remembered, and what
        waited to be said is said. Raises ConversationError where one goes on, where the end of the
        last still takes its time, and for a snapshot that cannot be used.
        """
        if self._worker:
            raise _refused("none that goes on", "one that does", "stop it first")
        self._wait_for_the_last()
        config = config or LiveConfig()
        self._session.reset(draw_seed(config))
        if snapshot is not None:
            self._session.restore(snapshot)
        self._session.codec.load_tracker()
        pacer = Pacer(
            self.now_ns, on_frame, partial(self._on_warning, "pacer"), keep_pace=config.keep_pace
        )
        worker = AvatarWorker(
            self._session, config, self.now_ns, pacer.put, partial(self._on_warning, "worker")
        )
        pacer.start()
        worker.start()
        self._pacer, self._worker = pacer, worker

    def stop(self) -> None:
        """End the conversation, in some seconds at most; there is a warning if it takes longer.

        What is still busy then goes on in the background, and `start` refuses until it has ended.
        """
        worker, pacer = self._worker, self._pacer
        self._worker = self._pacer = None
        for thread in (worker, pacer):
            if thread and not thread.stop(STOP_S):
                self._busy.append(thread)
                what = type(thread).__name__
                self._on_warning("stop", f"{what} is still busy; it ends as soon as it can")

    def close(self) -> None:
        """End the conversation and give back the face tracker's threads."""
        self.stop()
        if self._is_free:
            self._session.reset()
            self._session.close()

    def _wait_for_the_last(self) -> None:
        """The session cannot be had while it is in use."""
        self._busy = [thread for thread in self._busy if not thread.stop(STOP_S)]
        if self._busy:
            names = ", ".join(type(thread).__name__ for thread in self._busy)
            raise _refused("the last one to have ended", f"{names} still busy", "try again later")

    @property
    def _is_free(self) -> bool:
        """Whether no thread of a conversation that was stopped uses the session."""
        return all(thread.ended for thread in self._busy)

    @property
    def running(self) -> bool:
        """Whether a conversation goes on."""
        return self._worker is not None

    @property
    def status(self) -> AvatarStatus:
        """What has been done since the conversation began."""
        worker, pacer = self._worker, self._pacer  # another thread may stop them meanwhile
        if not (worker and pacer):
            return AvatarStatus()
        return replace(
            worker.status,
            late_blocks=pacer.playout_delay.late_blocks,
            playout_delay_ms=pacer.playout_delay.delay_ns / 1e6,
            unsent_frames=pacer.unsent_frames,
            unsent_samples=pacer.unsent_samples,
            sending_cpu_s=pacer.sending_cpu_s,
        )

    @property
    def audio_breaks(self) -> tuple[int, int]:
        """How often the user's audio, and the avatar's, have begun anew: filters restart then."""
        worker = self._worker
        return (worker.user_audio_breaks, worker.avatar_audio_breaks) if worker else (0, 0)

    @property
    def portrait(self) -> Portrait:
        """The face that is shown."""
        return self._session.codec.portrait

    @property
    def portrait_size_px(self) -> int:
        """The side of the images, and of a portrait for them."""
        return self._session.codec.image_size_px

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        """Audio that the avatar is to say after what waits, 16 kHz."""
        if worker := self._worker:
            worker.push_avatar_audio(chunk)

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Audio of the user, 16 kHz."""
        if worker := self._worker:
            worker.push_user_audio(chunk)

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Image of the user."""
        if worker := self._worker:
            worker.push_user_frame(frame)

    def push_user_motion(self, motion: NDArray[np.float32], stamp_ns: int) -> None:
        """Motion of the user ``[D]``, as somebody else has tracked it."""
        if worker := self._worker:
            worker.push_user_motion(motion, stamp_ns)

    def push_expression(self, expression: Expression, stamp_ns: int | None = None) -> None:
        """What the face is to show from `stamp_ns` on (now), until another comes."""
        if worker := self._worker:
            worker.push_expression(expression, self.now_ns() if stamp_ns is None else stamp_ns)

    def push_gaze_target(self, target: GazeTarget, stamp_ns: int | None = None) -> None:
        """Where the avatar is to look from `stamp_ns` on (now), for as long as `target` says."""
        if worker := self._worker:
            worker.push_gaze_target(target, self.now_ns() if stamp_ns is None else stamp_ns)

    def reset(self) -> Future[None]:
        """Begin a new conversation; inputs and frames that wait are forgotten."""
        if worker := self._worker:
            return worker.reset(self._pacer)
        return self._call(lambda session: session.reset())

    def snapshot(self) -> Future[bytes]:
        """The conversation as it is between two blocks, for `start` in any process.

        Frames that were made and wait to be shown are not in it: they are shown here.
        """
        return self._call(lambda session: session.snapshot())

    def stop_speaking(self) -> Future[int]:
        """Drop all avatar audio that was not shown yet; how many samples that were."""
        if worker := self._worker:
            return worker.stop_speaking(self._pacer)
        return self._call(lambda session: session.stop_speaking())

    def set_portrait(self, portrait: Portrait) -> Future[None]:
        """Go on with another face, of `portrait_size_px`."""
        return self._call(lambda session: session.set_portrait(portrait))

    def set_sampling(self, sampling: SamplingConfig) -> Future[None]:
        """Draw motion in another way from the next block on."""
        if worker := self._worker:
            return worker.set_sampling(sampling)
        return self._call(lambda session: session.set_sampling(sampling))

    def _call(self, command: Callable[[Session], T]) -> Future[T]:
        """Have `command` done by whoever owns the session at present."""
        if worker := self._worker:
            return worker.call(command)
        return resolved(partial(command, self._session) if self._is_free else too_late)


def _refused(expected: str, got: str, remedy: str) -> ConversationError:
    return ConversationError("conversation", expected=expected, got=got, remedy=remedy)
