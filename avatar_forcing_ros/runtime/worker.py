"""The one thread that owns a live session: inputs from anybody, block after block out.

Whoever has an input leaves it here and goes on. Time is whatever clock it is given (a robot's, or
that of a replay), and stamps decide what belongs together: a block is made when its time is over
and all live inputs have come, or a deadline later with what is there.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import LiveConfig, SamplingConfig
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.commands import Command, resolved, too_late
from avatar_forcing_ros.runtime.conversation import Conversation, Input, draw_seed
from avatar_forcing_ros.runtime.degradation import DegradationControl
from avatar_forcing_ros.runtime.meters import Durations
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.runtime.perception_thread import PerceptionThread
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.sync.clock_mapping import ClockJumps
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

T = TypeVar("T")
MAX_WAIT_S, MIN_WAIT_S = 0.02, 0.001
SETTLING_BLOCKS = 40  # of a conversation, in which what is slow the first time is caught up with
MAX_FAILURES = 5  # blocks in a row that could not be made; then there is a pause after each


def steady_ns() -> int:
    """A clock that never jumps, and that goes on while the machine is suspended where it can."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class AvatarWorker(StoppableThread):
    """Runs a session in a thread of its own.

    `now_ns` is the clock; `on_frames` is called in the worker's thread with frames as soon as they
    are drawn, in order, and the time they were ready; `on_warning` with a sentence whenever
    something went wrong.
    """

    def __init__(
        self,
        session: Session,
        config: LiveConfig,
        now_ns: Callable[[], int],
        on_frames: Callable[[list[AvatarFrame], int], None],
        on_warning: Callable[[str], None],
        steady_ns: Callable[[], int] = steady_ns,
    ) -> None:
        """`steady_ns` is what a live clock is compared with: a jump begins a new conversation."""
        self._session, self._config = session, config
        session.set_lossless(not config.keep_pace)
        self._now_ns, self._on_frames, self._on_warning = now_ns, on_frames, on_warning
        super().__init__("avatar-worker")
        self._inbox: deque[Input] = deque()
        self._commands: deque[Command] = deque()
        self._clock = ClockJumps(now_ns, live=config.keep_pace, steady_ns=steady_ns)
        self.user_audio_breaks = self.avatar_audio_breaks = 0
        self._conversation = Conversation(session, config)
        self._durations = Durations()
        self._control = DegradationControl(session.quality_levels())
        self._failed_in_a_row = self._failed = 0
        self._status = AvatarStatus(quality=self._control.quality, seed=session.state.seed)
        self._last_round_s = time.monotonic()
        self._perception: PerceptionThread | None = None
        if config.keep_pace and session.tracks_apart:
            self._perception = PerceptionThread(
                session.track, session.codec.close, self._push_tracked, on_warning
            )

    def start(self) -> None:
        """Begin to work, and to track the user's face."""
        if self._perception:
            self._perception.start()
        super().start()

    @property
    def ended(self) -> bool:
        """Whether the session is free again."""
        return super().ended and not (self._perception and self._perception.alive)

    def tick(self) -> None:
        """The clock may have moved."""
        with self._wake:
            self._wake.notify()

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        """Audio that the avatar is to say, stamped on the clock."""
        self._put(
            chunk.stamp_ns, lambda at: self._session.push_avatar_audio(replace(chunk, stamp_ns=at))
        )

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Audio of the user."""
        age_ns = self._now_ns() - chunk.stamp_ns

        def push(at_ns: int) -> None:
            self._conversation.microphone.note(len(chunk.samples), age_ns)
            self._session.push_user_audio(replace(chunk, stamp_ns=at_ns))

        self._put(chunk.stamp_ns, push)

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Image of the user."""
        if self._perception:
            self._perception.put(frame)
            return
        self._put(
            frame.stamp_ns, lambda at: self._session.push_user_frame(replace(frame, stamp_ns=at))
        )

    def push_user_motion(self, motion: NDArray[np.float32], stamp_ns: int) -> None:
        """Motion of the user ``[D]``, as somebody else has tracked it."""
        self._put(stamp_ns, lambda at: self._session.push_user_motion(motion, at))

    def push_expression(self, expression: Expression, stamp_ns: int) -> None:
        """What the face is to show from then on."""
        self._put(stamp_ns, lambda at: self._session.push_expression(expression, at))

    def push_gaze_target(self, target: GazeTarget, stamp_ns: int) -> None:
        """Where to look from then on."""
        self._put(stamp_ns, lambda at: self._session.push_gaze_target(target, at))

    def _push_tracked(self, motion: UserMotion, stamp_ns: int, prompt: bool) -> None:
        """The perception thread has tracked `motion`, for the conversation that goes on now."""
        conversation, lag = self._conversation, self._conversation.image_lag
        known_ns = stamp_ns + lag.lag_ns
        if prompt:
            lag.note(self._now_ns() - stamp_ns)

        def push(at_ns: int) -> None:
            if conversation is self._conversation:
                self._session.push_tracked(motion, at_ns)

        self._put(known_ns, push)

    def call(self, command: Callable[[Session], T]) -> Future[T]:
        """Have `command` run between two blocks, after the inputs that were put before it."""
        return self._order(lambda: command(self._session))

    def reset(self, pacer: Pacer | None = None) -> Future[None]:
        """Begin a new conversation; inputs that wait are forgotten, and frames in `pacer`."""

        def begin() -> None:
            self._begin_conversation()
            if pacer:
                pacer.clear()

        return self._order(begin, forgets=True, user_audio_breaks=1)

    def set_sampling(self, sampling: SamplingConfig) -> Future[None]:
        """Draw motion in another way from the next block on."""

        def change(session: Session) -> None:
            session.set_sampling(sampling)
            self._control = DegradationControl(session.quality_levels())
            self._use_quality()

        return self.call(change)

    def stop_speaking(self, pacer: Pacer | None = None) -> Future[int]:
        """Drop all avatar audio that has not been shown yet; how many samples that were.

        The frames that wait in `pacer`, and those that are being made, are muted at once.
        """
        waiting = pacer.mute() if pacer else 0

        def stop() -> int:
            dropped = self._session.stop_speaking()
            if pacer:
                pacer.unmute()
            return dropped + waiting

        return self._order(stop, avatar_audio_breaks=1)

    @property
    def status(self) -> AvatarStatus:
        """What has been done since the conversation began."""
        return replace(
            self._status,
            running=True,
            alive=self.alive,
            stalled_s=time.monotonic() - self._last_round_s,
        )

    def _order(
        self,
        command: Callable[[], T],
        *,
        forgets: bool = False,
        user_audio_breaks: int = 0,
        avatar_audio_breaks: int = 0,
    ) -> Future[T]:
        with self._wake:
            if self._stopping:
                return resolved(too_late)
            self._count_breaks(user_audio_breaks, avatar_audio_breaks)
            self._wake.notify()
            return self._append(command, forgets)

    def _append(self, command: Callable[[], T], forgets: bool) -> Future[T]:
        future: Future[T] = Future()
        before = len(self._inbox) - sum(earlier.before for earlier in self._commands)
        self._commands.append(Command(command, future, before, forgets))
        return future

    def _count_breaks(self, user_audio: int, avatar_audio: int) -> None:
        self.user_audio_breaks += user_audio
        self.avatar_audio_breaks += user_audio + avatar_audio  # a new conversation has no speech

    def _put(self, stamp_ns: int, push: Callable[[int], None]) -> None:
        with self._wake:
            self._check_clock()
            self._inbox.append(Input(stamp_ns, self._now_ns(), push))
            self._wake.notify()

    def _check_clock(self) -> None:
        """If it has jumped a new conversation begins, between what came before and after that."""
        jump = self._clock.check()
        if not jump:
            return

        def begin() -> None:
            self._on_warning(f"the clock {jump}: a new conversation begins")
            self._begin_conversation()

        self._count_breaks(1, 0)
        self._append(begin, True)

    def _run(self) -> None:
        try:
            self._work_until_stopped()
        finally:
            with self._wake:
                self._stopping = True
                commands, self._commands = self._commands, deque()
            for command in commands:
                command._replace(run=too_late).resolve()
            if not self._perception or self._perception.stop():
                self._session.close()

    def _work_until_stopped(self) -> None:
        busy = False
        while True:
            with self._wake:
                if not (busy or self._inbox or self._commands or self._stopping):
                    self._wake.wait(self._wait_s())
                self._check_clock()
                inbox, self._inbox = self._inbox, deque()
                commands, self._commands = self._commands, deque()
                stopping = self._stopping
            if stopping:
                for command in commands:  # asked for in time; none come any more
                    command.resolve()
                return
            round_s = time.monotonic()
            self._conversation.listened(bool(inbox), round_s - self._last_round_s)
            self._last_round_s = round_s
            now_ns = self._now_ns()
            came = iter(inbox)
            for command in commands:
                inputs = list(itertools.islice(came, command.before))
                if not command.forgets:
                    self._conversation.accept(inputs, now_ns, self._on_warning)
                command.resolve()
            self._conversation.accept(list(came), now_ns, self._on_warning)
            busy = self._work()  # then round again: a late block, too, is made of all that came

    def _wait_s(self) -> float:
        """How long nothing can be due unless an input comes."""
        left_ns = self._conversation.left_ns(self._now_ns())
        if left_ns is None:
            return MAX_WAIT_S
        if left_ns <= 0:
            left_ns += self._conversation.patience_ns()
        return min(MAX_WAIT_S, max(MIN_WAIT_S, left_ns / 1e9))

    def _begin_conversation(self) -> None:
        with self._perception.resting() if self._perception else nullcontext():
            self._session.reset(draw_seed(self._config))
            self._conversation = Conversation(self._session, self._config)
        control, seed = self._control, self._session.state.seed
        self._status = AvatarStatus(quality=control.quality, reduced=control.reduced, seed=seed)

    def _work(self) -> bool:
        """Make the block that is due, else track a face for it; whether there was either."""
        if self._conversation.origin_ns is None:
            return False
        try:
            if self._conversation.is_due(self._now_ns()):
                self._step()
                self._failed_in_a_row = 0
                return True
            return self._track_ahead()
        except Exception as error:  # whatever it is, the avatar lives on
            self._failed += 1
            self._failed_in_a_row += 1
            self._on_warning(f"a block could not be made ({type(error).__name__}: {error})")
            if self._failed_in_a_row >= MAX_FAILURES:
                time.sleep(1.0)  # nothing helps: do not burn the machine, do not fill the log
            with self._wake:
                self._count_breaks(1, 0)
            self._begin_conversation()
            self._status = replace(self._status, failed_blocks=self._failed)
            return True

    def _track_ahead(self) -> bool:
        started_s = time.perf_counter()
        tracked = self._session.track_ahead()
        if tracked:
            self._conversation.tracking_s += time.perf_counter() - started_s
        return tracked

    def _step(self) -> None:
        """Make the next block, or give up its time."""
        conversation, session = self._conversation, self._session
        behind_ns = conversation.behind_ns(self._now_ns())
        frames = session.engine.frames(session.state)
        every: int | None = 1
        if self._config.keep_pace:
            exhausted = self._control.exhausted
            every = conversation.catching_up.drawn_every(behind_ns, exhausted=exhausted)
        if every is None:
            blocks = behind_ns // (frames * FRAME_PERIOD_NS)
            session.skip(blocks * frames)
            conversation.skipped_blocks += blocks
            return
        late = behind_ns > conversation.deadline_ns
        with self._perception.giving_way(late) if self._perception else nullcontext():
            self._make_block(frames, every, behind_ns)

    def _make_block(self, frames: int, drawn_every: int, behind_ns: int) -> None:
        started_s = time.perf_counter()
        session, conversation = self._session, self._conversation
        block = session.next_block()
        frames_out = conversation.frames_of(block)
        user_speaking = bool(conversation.user_speech.update(session.last_user_audio)[1][-1])
        for frame, pixels in zip(frames_out, session.drawn(block, drawn_every), strict=True):
            conversation.undrawn_frames += pixels is None
            if frame is frames_out[-1]:
                conversation.blocks += 1
                if self._perception:  # two cores have no time for both at once
                    conversation.tracking_s = self._perception.took_s()
                took_s = conversation.tracking_s + time.perf_counter() - started_s
                conversation.tracking_s = 0.0
                self._judge(took_s, frames, behind_ns)
                self._update_status(frame.speaking, user_speaking, behind_ns)
            self._on_frames([replace(frame, pixels=pixels)], self._now_ns())

    def _judge(self, took_s: float, frames: int, behind_ns: int) -> None:
        """Note what a block took, and change the quality where that is called for."""
        self._durations.add(took_s)
        late = behind_ns > self._conversation.deadline_ns
        late = late and self._conversation.blocks > SETTLING_BLOCKS
        if self._config.keep_pace and self._control.after_block(took_s, frames, late=late):
            self._use_quality()

    def _use_quality(self) -> None:
        quality = self._control.quality
        self._session.set_quality(quality)
        if self._perception:
            self._perception.period_ns = quality.tracking_period_ns

    def _update_status(self, speaking: bool, user_speaking: bool, behind_ns: int) -> None:
        status, perception = self._conversation.status(), self._perception
        self._status = replace(
            status,
            failed_blocks=self._failed,
            failed_user_frames=perception.failed_frames if perception else 0,
            dropped_user_frames=status.dropped_user_frames
            + (perception.dropped_frames if perception else 0),
            behind_ms=max(0.0, behind_ns / 1e6),
            compute_ms=self._durations.mean_ms,
            compute_p99_ms=self._durations.p99_ms,
            speaking=speaking,
            user_speaking=user_speaking,
            quality=self._control.quality,
            reduced=self._control.reduced,
        )
