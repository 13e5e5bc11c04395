"""Frames out at their pace: a block comes at once, but a face has to move evenly.

Every frame is due a constant lag after its stamp. The lag is what the slowest block needed; it
grows when a block comes later than planned and shrinks when there has been room for long.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from avatar_forcing_ros.pipeline.live import LiveFrame
from avatar_forcing_ros.pipeline.waking_thread import WakingThread

HEADROOM_NS = 15_000_000
ROOM_BLOCKS = 10  # that all had room, before the lag shrinks
SHRINK_NS = 15_000_000  # at once; half a frame is not seen
LONGEST_WAIT_S = 0.01
STILL_S = 0.5


class Lag:
    """How long after its stamp a frame is due. No clock in here."""

    def __init__(self) -> None:
        self.lag_ns = 0
        self.late_blocks = 0
        self._known = False
        self._room_ns: deque[int] = deque(maxlen=ROOM_BLOCKS)

    def after_block(self, first_stamp_ns: int, ready_ns: int) -> int:
        """Note when a block was ready, by its first frame's stamp; the lag from now on."""
        needed = ready_ns - first_stamp_ns + HEADROOM_NS
        if not self._known or needed > self.lag_ns:
            self.late_blocks += self._known
            self._known = True
            self.lag_ns = needed
            self._room_ns.clear()
            return self.lag_ns
        self._room_ns.append(self.lag_ns - needed)
        if len(self._room_ns) == ROOM_BLOCKS and min(self._room_ns) > SHRINK_NS:
            self.lag_ns -= SHRINK_NS
            self._room_ns.clear()
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
        """Take a block's frames, ready at `ready_ns`."""
        lag_ns = self.lag.after_block(frames[0].stamp_ns, ready_ns)
        with self._wake:
            self._waiting.extend((frame.stamp_ns + lag_ns, frame) for frame in frames)
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
