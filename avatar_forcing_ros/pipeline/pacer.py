"""Frames out at their pace: a block comes at once, but a face has to move evenly.

Every frame is due a lag after its stamp. The lag is what the slowest frame of the last seconds
needed and a little more: it grows at once when a frame comes later than planned, and goes back
so slowly that nobody sees it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from avatar_forcing_ros.pipeline.live import LiveFrame
from avatar_forcing_ros.pipeline.waking_thread import WakingThread

HEADROOM_NS = 8_000_000
REMEMBERED_FRAMES = 50
SHRINK_NS = 2_000_000  # a frame: motion is a twentieth faster for a while
LONGEST_WAIT_S = 0.01
STILL_S = 0.5


class Lag:
    """How long after its stamp a frame is due. No clock in here."""

    def __init__(self) -> None:
        self.lag_ns = 0
        self.late_blocks = 0
        self._first_block: int | None = None
        self._late_block: int | None = None  # the newest that was
        self._needed_ns: deque[int] = deque(maxlen=REMEMBERED_FRAMES)

    def after(self, frame: LiveFrame, ready_ns: int) -> int:
        """Note when `frame` was ready; the lag from now on.

        The first block may be longer than all others, so what it needed is soon forgotten.
        """
        needed = ready_ns - frame.stamp_ns + HEADROOM_NS
        if self._first_block is None:
            self._first_block = self._late_block = frame.block_index
            self.lag_ns = needed
        if frame.block_index != self._first_block:
            self._needed_ns.append(needed)
        if needed > self.lag_ns:
            self.late_blocks += frame.block_index != self._late_block
            self._late_block = frame.block_index
            self.lag_ns = needed
        elif self._needed_ns:
            self.lag_ns = max(self.lag_ns - SHRINK_NS, *self._needed_ns)
        return self.lag_ns


class Pacer(WakingThread):
    """A thread that gives every frame to `emit` when it is due."""

    def __init__(
        self,
        now_ns: Callable[[], int],
        emit: Callable[[LiveFrame], None],
        trouble: Callable[[str], None],
    ) -> None:
        self._now_ns, self._emit, self._trouble = now_ns, emit, trouble
        super().__init__("avatar-pacer")
        self._waiting: deque[tuple[int, LiveFrame]] = deque()
        self.lag = Lag()
        self.sending_cpu_s = 0.0  # processor time that `emit` has taken in all
        self._seen_ns, self._seen_at_s = 0, 0.0

    def put(self, frames: Sequence[LiveFrame], ready_ns: int) -> None:
        """Take a block's next frames, ready at `ready_ns`."""
        with self._wake:
            for frame in frames:
                self._waiting.append((frame.stamp_ns + self.lag.after(frame, ready_ns), frame))
            self._wake.notify()

    def clear(self) -> None:
        """Forget frames that wait, and the lag: a new conversation begins."""
        with self._wake:
            self._waiting.clear()
            self.lag = Lag()

    def _moves(self, now_ns: int) -> bool:
        """Whether the clock goes on; one that stands still (a replay's end) holds nothing back."""
        here_s = time.monotonic()
        if now_ns != self._seen_ns:
            self._seen_ns, self._seen_at_s = now_ns, here_s
        return here_s - self._seen_at_s < STILL_S

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._stopping:
                    return
                now_ns = self._now_ns()
                if not self._waiting or (now_ns < self._waiting[0][0] and self._moves(now_ns)):
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
