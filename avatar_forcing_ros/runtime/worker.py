"""The one thread that owns a live session: inputs from anybody, block after block out.

Whoever has an input leaves it here and goes on. Time is whatever clock it is given (a robot's, or
that of a replay), and stamps decide what belongs together: a block is made when its time is over
and all live inputs have come, or a deadline later with what is there.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import LiveConfig, SamplingConfig
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.runtime.commands import settle, too_late
from avatar_forcing_ros.runtime.conversation import Input, Talk
from avatar_forcing_ros.runtime.degradation import EffortControl
from avatar_forcing_ros.runtime.metrics import Durations
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.runtime.perception_thread import Watcher
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.runtime.stoppable_thread import WakingThread
from avatar_forcing_ros.sync import clock_jumps
from avatar_forcing_ros.sync.clock_jumps import ClockJumps
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

T = TypeVar("T")
HOLD_NS = 500_000_000  # so far behind nothing is drawn: the last picture stays
SKIP_NS = 2_000_000_000  # so far behind the time is given up
FAR_AHEAD_NS = 60_000_000_000  # of the clock: nothing waits for so long, and fills the memory
LONGEST_WAIT_S, SHORTEST_WAIT_S = 0.02, 0.001
TROUBLE_LIMIT = 5  # blocks in a row that could not be made


class Command(NamedTuple):
    """What is to be done between two blocks, after the `before` inputs since the last command."""

    run: Callable[[], Any]
    future: Future[Any]
    before: int
    forgets: bool  # the inputs of before it


class AvatarWorker(WakingThread):
    """Runs a session in a thread of its own.

    `now_ns` is the clock; `deliver` is called in the worker's thread with frames as soon as they
    are drawn, in order, and the time they were ready; `trouble` with a sentence whenever something
    went wrong.
    """

    def __init__(
        self,
        session: Session,
        config: LiveConfig,
        now_ns: Callable[[], int],
        deliver: Callable[[list[AvatarFrame], int], None],
        trouble: Callable[[str], None],
        steady_ns: Callable[[], int] = clock_jumps.steady_ns,
    ) -> None:
        """`steady_ns` is what a live clock is compared with: a jump begins a new conversation."""
        self._session, self._config = session, config
        session.keep_all_pictures(not config.keep_pace)
        self._now_ns, self._deliver, self._trouble = now_ns, deliver, trouble
        super().__init__("avatar-worker")
        self._inbox: deque[Input] = deque()
        self._commands: deque[Command] = deque()
        self._clock = ClockJumps(now_ns, live=config.keep_pace, steady_ns=steady_ns)
        self.user_audio_breaks = self.avatar_audio_breaks = 0
        self._talk = Talk()
        self._durations = Durations()
        self._control = EffortControl(session.efforts())
        self._failed_in_a_row = self._failed = 0
        self._status = AvatarStatus(effort=self._control.effort)
        self._beat_s = time.monotonic()
        self._watcher: Watcher | None = None
        if config.keep_pace and session.watches_apart:
            self._watcher = Watcher(session.watch, session.codec.close, self._seen, trouble)

    def start(self) -> None:
        """Begin to work, and to look at pictures."""
        if self._watcher:
            self._watcher.start()
        super().start()

    @property
    def ended(self) -> bool:
        """Whether the session is free again."""
        return super().ended and not (self._watcher and self._watcher.alive)

    def tick(self) -> None:
        """The clock may have moved."""
        with self._wake:
            self._wake.notify()

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        """Sound that the avatar is to say, stamped on the clock."""
        self._put(
            chunk.stamp_ns, lambda at: self._session.push_avatar_audio(replace(chunk, stamp_ns=at))
        )

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Sound of the person."""
        age_ns = self._now_ns() - chunk.stamp_ns

        def push(at_ns: int) -> None:
            self._talk.microphone.note(len(chunk.samples), age_ns)
            self._session.push_user_audio(replace(chunk, stamp_ns=at_ns))

        self._put(chunk.stamp_ns, push)

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Picture of the person."""
        if self._watcher:
            self._watcher.put(frame)
            return
        self._put(
            frame.stamp_ns, lambda at: self._session.push_user_frame(replace(frame, stamp_ns=at))
        )

    def push_user_motion(self, motion: NDArray[np.float32], stamp_ns: int) -> None:
        """Motion of the person ``[D]``, as somebody else has seen it."""
        self._put(stamp_ns, lambda at: self._session.push_user_motion(motion, at))

    def call(self, command: Callable[[Session], T]) -> Future[T]:
        """Have `command` run between two blocks, after the inputs that were put before it."""
        return self._order(lambda: command(self._session))

    def reset(self, pacer: Pacer | None = None) -> Future[None]:
        """Begin a new conversation; inputs that wait are forgotten, and frames in `pacer`."""

        def begin() -> None:
            self._begin_anew()
            if pacer:
                pacer.clear()

        return self._order(begin, forgets=True, user_audio_breaks=1)

    def set_sampling(self, sampling: SamplingConfig) -> Future[None]:
        """Draw motion in another way from the next block on."""

        def change(session: Session) -> None:
            session.set_sampling(sampling)
            self._control = EffortControl(session.efforts())

        return self.call(change)

    def stop_speaking(self, pacer: Pacer | None = None) -> Future[int]:
        """Drop all voice that has not been shown yet; how many samples that were.

        The frames that wait in `pacer`, and those that are being made, are silenced at once.
        """
        waiting = pacer.hush() if pacer else 0

        def stop(session: Session) -> int:
            dropped = session.stop_speaking()
            if pacer:
                pacer.unhush()
            return dropped + waiting

        return self._order(lambda: stop(self._session), avatar_audio_breaks=1)

    @property
    def status(self) -> AvatarStatus:
        """The newest figures."""
        return self._status

    @property
    def silent_s(self) -> float:
        """How long the thread has not come round: it hangs where that is long."""
        return time.monotonic() - self._beat_s

    def _seen(self, motion: UserMotion, stamp_ns: int) -> None:
        """The watcher has seen `motion`; it belongs to the conversation that goes on now."""
        talk = self._talk

        def push(at_ns: int) -> None:
            if talk is self._talk:
                self._session.push_seen(motion, at_ns)

        self._put(stamp_ns, push)

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
                future: Future[T] = Future()
                settle(too_late, future)
                return future
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
        self.avatar_audio_breaks += user_audio + avatar_audio  # a new conversation has no voice

    def _put(self, stamp_ns: int, push: Callable[[int], None]) -> None:
        with self._wake:
            self._look_at_clock()
            self._inbox.append(Input(stamp_ns, self._now_ns(), push))
            self._wake.notify()

    def _look_at_clock(self) -> None:
        """If it has jumped a new conversation begins, between what came before and after that."""
        jump = self._clock.look()
        if not jump:
            return

        def begin() -> None:
            self._trouble(f"the clock {jump}: a new conversation begins")
            self._begin_anew()

        self._count_breaks(1, 0)
        self._append(begin, True)

    def _run(self) -> None:
        try:
            self._work_on()
        finally:
            with self._wake:
                self._stopping = True
                commands, self._commands = self._commands, deque()
            for command in commands:
                settle(too_late, command.future)
            if not self._watcher or self._watcher.stop():
                self._session.close()

    def _work_on(self) -> None:
        busy = False
        while True:
            with self._wake:
                if not (busy or self._inbox or self._commands or self._stopping):
                    self._wake.wait(self._wait_s())
                self._look_at_clock()
                inbox, self._inbox = self._inbox, deque()
                commands, self._commands = self._commands, deque()
                stopping = self._stopping
            if stopping:
                for command in commands:  # asked for in time; none come any more
                    settle(command.run, command.future)
                return
            self._beat_s = time.monotonic()
            now_ns = self._now_ns()
            came = iter(inbox)
            for command in commands:
                inputs = list(itertools.islice(came, command.before))
                if not command.forgets:
                    self._accept(inputs, now_ns)
                settle(command.run, command.future)
            self._accept(list(came), now_ns)
            busy = self._work()  # then round again: a late block, too, is made of all that came

    def _wait_s(self) -> float:
        """How long nothing can be due unless an input comes."""
        if self._talk.origin_ns is None:
            return LONGEST_WAIT_S
        left_ns = self._talk.origin_ns + self._session.next_end_ns - self._now_ns()
        if left_ns <= 0:
            left_ns += self._patience_ns()
        return min(LONGEST_WAIT_S, max(SHORTEST_WAIT_S, left_ns / 1e9))

    def _begin_anew(self) -> None:
        with self._watcher.resting() if self._watcher else nullcontext():
            self._session.reset()
            self._talk = Talk()
        self._status = AvatarStatus(effort=self._control.effort, reduced=self._control.reduced)

    def _accept(self, inbox: list[Input], now_ns: int) -> None:
        """Hand inputs to the session, on media time; until that has begun they are held."""
        talk = self._talk
        if talk.origin_ns is None:
            inbox = talk.gather(inbox, now_ns, round(1e6 * self._config.gather_ms))
        if talk.origin_ns is None:
            return
        for stamp_ns, arrival_ns, push in inbox:
            try:
                ahead_ns = stamp_ns - (arrival_ns or now_ns)
                if ahead_ns > FAR_AHEAD_NS:
                    raise ValueError(f"stamped {ahead_ns / 1e9:.0f} s ahead")
                push(stamp_ns - talk.origin_ns)
            except Exception as error:  # no input ends the avatar
                talk.refused_inputs += 1
                self._trouble(f"an input was left out: {error}")

    def _due(self, now_ns: int) -> bool:
        if self._talk.origin_ns is None:
            return False
        end_ns = self._talk.origin_ns + self._session.next_end_ns
        return now_ns >= end_ns and now_ns >= end_ns + self._patience_ns()

    @property
    def _deadline_ns(self) -> int:
        return round(1e6 * self._config.deadline_ms)

    def _patience_ns(self) -> int:
        """How long after its end what the next block misses is waited for."""
        sound, wait_ns = self._session.user_sound, self._talk.microphone.wait_ns
        return max(
            (
                wait_ns(self._deadline_ns) if track is sound else self._deadline_ns
                for track in self._session.missing()
            ),
            default=0,
        )

    def _work(self) -> bool:
        """Make the block that is due, else look at a picture of it; whether there was either."""
        if self._talk.origin_ns is None:
            return False
        try:
            if self._due(self._now_ns()):
                self._step()
                self._failed_in_a_row = 0
                return True
            return self._look()
        except Exception as error:  # whatever it is, the avatar goes on living
            self._failed += 1
            self._failed_in_a_row += 1
            self._trouble(f"a block could not be made ({type(error).__name__}: {error})")
            if self._failed_in_a_row >= TROUBLE_LIMIT:
                time.sleep(1.0)  # nothing helps: do not burn the machine, do not fill the log
            with self._wake:
                self._count_breaks(1, 0)
            self._begin_anew()
            self._status = replace(self._status, failed_blocks=self._failed)
            return True

    def _look(self) -> bool:
        started = time.perf_counter()
        looked = self._session.look()
        if looked:
            self._talk.looking_s += time.perf_counter() - started
        return looked

    def _step(self) -> None:
        """Make the next block, or give up its time."""
        assert self._talk.origin_ns is not None
        behind_ns = self._now_ns() - self._talk.origin_ns - self._session.next_end_ns
        # a microphone's chunks are waited for: that is late by intention
        behind_ns -= self._talk.microphone.wait_ns(self._deadline_ns) - self._deadline_ns
        frames = self._session.engine.frames(self._session.state)
        if self._config.keep_pace and behind_ns > SKIP_NS:
            blocks = behind_ns // (frames * FRAME_PERIOD_NS)
            self._session.skip(blocks * frames)
            self._talk.skipped_blocks += blocks
            return
        draw = not (self._config.keep_pace and behind_ns > HOLD_NS)
        # what is seen meanwhile is of the next block; but a face has to be seen at times
        in_time = behind_ns <= self._deadline_ns
        with self._watcher.giving_way(in_time) if self._watcher else nullcontext():
            self._make(frames, draw=draw, behind_ns=behind_ns)

    def _make(self, frames: int, *, draw: bool, behind_ns: int) -> None:
        started = time.perf_counter()
        session, talk = self._session, self._talk
        block = session.next_block()
        frames_out = talk.frames_of(block)
        user_speaking = bool(talk.user_voice.hear(session.last_user_sound)[1][-1])
        pictures: Iterator[NDArray[np.uint8] | None]
        pictures = session.drawn(block) if draw else itertools.repeat(None, frames)
        for frame, pixels in zip(frames_out, pictures, strict=True):
            if frame is frames_out[-1]:
                talk.blocks += 1
                talk.undrawn_frames += 0 if draw else frames
                if self._watcher:  # two cores have no time for both at once
                    talk.looking_s = self._watcher.took_s()
                self._judge(talk.looking_s + time.perf_counter() - started, frames)
                talk.looking_s = 0.0
                self._note(frame.speaking, user_speaking, behind_ns)
            self._deliver([replace(frame, pixels=pixels)], self._now_ns())

    def _judge(self, took_s: float, frames: int) -> None:
        """Note what a block took, and make less or more effort where that is called for."""
        self._durations.add(took_s)
        if self._config.keep_pace and self._control.after_block(took_s, frames):
            self._session.make_effort(self._control.effort)

    def _note(self, speaking: bool, user_speaking: bool, behind_ns: int) -> None:
        status, watcher = self._talk.status(self._session), self._watcher
        missed = watcher.dropped_pictures if watcher else 0
        self._status = replace(
            status,
            failed_blocks=self._failed,
            failed_pictures=watcher.failed_pictures if watcher else 0,
            dropped_pictures=status.dropped_pictures + missed,
            behind_ms=max(0.0, behind_ns / 1e6),
            compute_ms=self._durations.mean_ms,
            compute_p99_ms=self._durations.p99_ms,
            speaking=speaking,
            user_speaking=user_speaking,
            microphone_wait_ms=self._talk.microphone.wait_ns(self._deadline_ns) / 1e6,
            effort=self._control.effort,
            reduced=self._control.reduced,
        )
