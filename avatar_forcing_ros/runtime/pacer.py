"""Frames out at their pace: a block comes at once, but a face has to move evenly.

Every frame is due a delay after its stamp. Who takes the frames may be slow: what waits is
bounded, images give way long before audio does, and both are counted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread
from avatar_forcing_ros.sync.clock_mapping import BACK_NS
from avatar_forcing_ros.sync.playout_delay import PlayoutDelay

MAX_WAIT_S = 0.01
STILL_S = 0.5
MAX_IMAGES = 50  # that wait, beside those that are not due yet: two seconds
MAX_FRAMES = 250  # the same for frames, of which audio is left: ten seconds


class Pacer(StoppableThread):
    """A thread that gives every frame to `emit` when it is due.

    `keep_pace` False: nothing gives way, however long it waits (a replay loses nothing).
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        emit: Callable[[AvatarFrame], None],
        on_warning: Callable[[str], None],
        *,
        keep_pace: bool = True,
    ) -> None:
        self._now_ns, self._emit, self._on_warning = now_ns, emit, on_warning
        self._keep_pace = keep_pace
        super().__init__("avatar-pacer")
        self._waiting: deque[tuple[int, AvatarFrame]] = deque()
        self._muted = False
        self._newest_block = 0
        self.playout_delay = PlayoutDelay()
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
                due_ns = frame.stamp_ns + self.playout_delay.update(frame, ready_ns)
                self._waiting.append((due_ns, muted(frame) if self._muted else frame))
            dropped = self._make_room(ready_ns) if self._keep_pace else 0
            self._wake.notify()
        if dropped:
            self._on_warning(f"nobody takes the avatar's audio: {dropped} samples were left out")

    def mute(self) -> int:
        """Mute what waits and what comes until `unmute`; how many samples were not silent."""
        with self._wake:
            self._muted = True
            waiting = list(self._waiting)
            self._waiting.clear()
            for k, (due_ns, frame) in enumerate(waiting):
                self._waiting.append((due_ns, muted(frame, fading=k == 0)))
            return sum(int(np.count_nonzero(frame.audio)) for _, frame in waiting)

    def unmute(self) -> None:
        """What comes from now on keeps its audio."""
        with self._wake:
            self._muted = False

    @property
    def waiting(self) -> list[tuple[int, AvatarFrame]]:
        """When each of the frames that wait is due, and the frame."""
        with self._wake:
            return list(self._waiting)

    def clear(self) -> None:
        """Forget frames that wait, and the delay: a new conversation begins."""
        with self._wake:
            self._waiting.clear()
            self.playout_delay = PlayoutDelay()

    def _begin_anew(self, now_ns: int) -> None:
        """Another conversation begins, maybe since the clock has jumped.

        What waits would be in its way until its own time, which may never come; and what was made
        while the clock jumped says nothing about the delay.
        """
        self._waiting = deque((now_ns, frame) for _, frame in self._waiting)
        self.playout_delay = PlayoutDelay()

    def _make_room(self, now_ns: int) -> int:
        """Let the oldest of what is overdue for long give way; how many samples of audio did."""
        overdue = sum(1 for _ in takewhile(lambda waits: waits[0] <= now_ns, self._waiting))
        dropped = 0
        for _ in range(overdue - MAX_FRAMES):
            dropped += len(self._waiting.popleft()[1].audio)
        for k in range(min(overdue, MAX_FRAMES) - MAX_IMAGES):
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
                    self._wake.wait(min(MAX_WAIT_S, due_s))
                    continue
                _, frame = self._waiting.popleft()
            began_s = time.thread_time()
            try:
                self._emit(frame)
            except Exception as error:  # one frame that cannot be sent must not end the rest
                self._on_warning(f"a frame could not be sent ({type(error).__name__}: {error})")
            self.sending_cpu_s += time.thread_time() - began_s


def muted(frame: AvatarFrame, *, fading: bool = False) -> AvatarFrame:
    """`frame` without its audio; `fading` lets it end within the frame, since a step would click.

    Lips still do what they were drawn to do.
    """
    gain = np.linspace(1.0, 0.0, len(frame.audio), dtype=np.float32) if fading else np.float32(0)
    return replace(frame, audio=frame.audio * gain, speech_level=0.0, speaking=False)
