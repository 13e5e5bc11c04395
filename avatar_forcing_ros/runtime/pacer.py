"""Frames out at their pace: a block comes at once, but a face has to move evenly.

Every frame is due a lag after its stamp. Who takes the frames may be slow: what waits is bounded,
pictures give way long before sound does, and both are counted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread
from avatar_forcing_ros.sync.lag import Lag

LONGEST_WAIT_S = 0.01
STILL_S = 0.5
BACK_NS = 1_000_000_000  # a clock that goes back by more has begun anew
MOST_PICTURES = 50  # that wait, beside those that are not due yet: two seconds
MOST_FRAMES = 250  # the same for frames, of which sound is left: ten seconds


class Pacer(StoppableThread):
    """A thread that gives every frame to `emit` when it is due.

    `keep_pace` False: nothing gives way, however long it waits (a replay loses nothing).
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        emit: Callable[[AvatarFrame], None],
        trouble: Callable[[str], None],
        *,
        keep_pace: bool = True,
    ) -> None:
        self._now_ns, self._emit, self._trouble = now_ns, emit, trouble
        self._keep_pace = keep_pace
        super().__init__("avatar-pacer")
        self._waiting: deque[tuple[int, AvatarFrame]] = deque()
        self._hushed = False
        self._newest_block = 0
        self.lag = Lag()
        self.sending_cpu_s = 0.0  # processor time that `emit` has taken in all
        self.unsent_frames = self.unsent_samples = 0
        self._seen_ns, self._seen_at_s = 0, 0.0

    def put(self, frames: Sequence[AvatarFrame], ready_ns: int) -> None:
        """Take a block's next frames, ready at `ready_ns`."""
        with self._wake:
            for frame in frames:
                if frame.block_index < self._newest_block:
                    self._begin_anew(ready_ns)
                self._newest_block = frame.block_index
                due_ns = frame.stamp_ns + self.lag.after(frame, ready_ns)
                self._waiting.append((due_ns, silent(frame) if self._hushed else frame))
            dropped = self._make_room(ready_ns) if self._keep_pace else 0
            self._wake.notify()
        if dropped:
            self._trouble(f"nobody takes the avatar's sound: {dropped} samples were left out")

    def hush(self) -> int:
        """Silence what waits and what comes until `unhush`; how many samples had sound."""
        with self._wake:
            self._hushed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            for k, (due_ns, frame) in enumerate(waiting):
                self._waiting.append((due_ns, silent(frame, fading=k == 0)))
            return sum(int(np.count_nonzero(frame.audio)) for _, frame in waiting)

    def unhush(self) -> None:
        """What comes from now on is heard again."""
        with self._wake:
            self._hushed = False

    @property
    def waiting(self) -> list[tuple[int, AvatarFrame]]:
        """When each of the frames that wait is due, and the frame."""
        with self._wake:
            return list(self._waiting)

    def clear(self) -> None:
        """Forget frames that wait, and the lag: a new conversation begins."""
        with self._wake:
            self._waiting.clear()
            self.lag = Lag()

    def _begin_anew(self, now_ns: int) -> None:
        """Another conversation begins, maybe since the clock has jumped.

        What waits would be in its way until its own time, which may never come; and what was made
        while the clock jumped says nothing about the lag.
        """
        self._waiting = deque((now_ns, frame) for _, frame in self._waiting)
        self.lag = Lag()

    def _make_room(self, now_ns: int) -> int:
        """Let the oldest of what is overdue for long give way; how many samples of sound did."""
        overdue = 0
        for due_ns, _ in self._waiting:
            if due_ns > now_ns:
                break
            overdue += 1
        dropped = 0
        for _ in range(overdue - MOST_FRAMES):
            dropped += len(self._waiting.popleft()[1].audio)
            overdue -= 1
        for k in range(overdue - MOST_PICTURES):
            due_ns, frame = self._waiting[k]
            self.unsent_frames += frame.pixels is not None
            self._waiting[k] = due_ns, replace(frame, pixels=None)
        self.unsent_samples += dropped
        return dropped

    def _moves(self, now_ns: int) -> bool:
        """Whether the clock goes on; one that stands still (a replay's end) holds nothing back."""
        here_s = time.monotonic()
        if now_ns < self._seen_ns - BACK_NS:
            self._begin_anew(now_ns)
        if now_ns != self._seen_ns:
            self._seen_ns, self._seen_at_s = now_ns, here_s
        return here_s - self._seen_at_s < STILL_S

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._stopping:
                    return
                now_ns = self._now_ns()
                moves = self._moves(now_ns)
                if not self._waiting or (now_ns < self._waiting[0][0] and moves):
                    due_s = (self._waiting[0][0] - now_ns) / 1e9 if self._waiting else 1.0
                    self._wake.wait(min(LONGEST_WAIT_S, due_s))
                    continue
                _, frame = self._waiting.popleft()
            began_s = time.thread_time()
            try:
                self._emit(frame)
            except Exception as error:  # one frame that cannot be sent must not end the rest
                self._trouble(f"a frame could not be sent ({type(error).__name__}: {error})")
            self.sending_cpu_s += time.thread_time() - began_s


def silent(frame: AvatarFrame, *, fading: bool = False) -> AvatarFrame:
    """`frame` without its voice; `fading` lets it end within the frame, since a step would click.

    Lips still do what they were drawn to do.
    """
    gain = np.linspace(1.0, 0.0, len(frame.audio), dtype=np.float32) if fading else np.float32(0)
    return replace(frame, audio=frame.audio * gain, speech_level=0.0, speaking=False)
