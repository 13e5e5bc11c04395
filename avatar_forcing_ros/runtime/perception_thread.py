"""Looks at the person's pictures in a thread of its own, at the camera's rate; the newest wins.

A block that is made in time goes before the next picture, which belongs to a later one. What a
picture tells is told as motion, so a picture that is still being looked at when its block ends is
waited for as any other input is, up to the deadline.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.runtime.stoppable_thread import WakingThread
from avatar_forcing_ros.sync.clock_mapping import BACK_NS

APART_NS = 20_000_000  # faster cameras tell no more: a block has 25 frames a second
MOST_HELD = 3  # pictures that wait while somebody else is in a hurry


class Watcher(WakingThread):
    """Gives the motion in every picture that there was time for to `tell`, with its stamp.

    `look` is called in this thread alone, and never while `resting`; after it has raised anything
    but one of this package's errors `mend` is called. `trouble` is told in a sentence.
    """

    def __init__(
        self,
        look: Callable[[VideoFrame], UserMotion],
        mend: Callable[[], None],
        tell: Callable[[UserMotion, int], None],
        trouble: Callable[[str], None],
    ) -> None:
        super().__init__("avatar-watcher")
        self._look, self._mend, self._tell, self._trouble = look, mend, tell, trouble
        self._looking = Lock()
        self._fails = self._rests = self._gives_way = False
        self._took_s = 0.0
        self._forget()

    def _forget(self) -> None:
        self._waiting: deque[VideoFrame] = deque()  # in order of their stamps
        self._held = 0  # of them, that came while this gave way: they do not give way themselves
        self._newest_ns: int | None = None  # of the pictures that were looked at
        self.dropped_pictures = 0
        self.failed_pictures = 0

    def put(self, frame: VideoFrame) -> None:
        """Leave a picture here; one that still waits, and is older, gives way to it."""
        with self._wake:
            older = self._waiting[-1] if self._waiting else None
            if self._is_late(frame) or (older and older.stamp_ns >= frame.stamp_ns):
                self.dropped_pictures += 1
                return
            if len(self._waiting) > self._held:
                self._waiting.pop()
                self.dropped_pictures += 1
            self._waiting.append(frame)
            if self._gives_way:
                self._held = len(self._waiting)
            if len(self._waiting) > MOST_HELD:
                self._next()
                self.dropped_pictures += 1
            self._wake.notify()

    def _next(self) -> VideoFrame:
        self._held = max(0, self._held - 1)
        return self._waiting.popleft()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While this block runs no picture is looked at; those of before it tell nothing more."""
        with self._wake:
            self._rests = True
            self._waiting.clear()
            self._held = 0
        try:
            with self._looking:
                with self._wake:
                    self._forget()
                yield
        finally:
            with self._wake:
                self._rests = False
                self._wake.notify()

    @contextmanager
    def giving_way(self, give: bool = True) -> Iterator[None]:
        """While this block runs no look is begun, if `give`: somebody else is in a hurry.

        The pictures that come meanwhile are looked at afterwards, if they are few.
        """
        with self._wake:
            self._gives_way = give
        try:
            yield
        finally:
            with self._wake:
                self._gives_way = False
                self._wake.notify()

    def took_s(self) -> float:
        """How long was looked at pictures since this was asked last."""
        with self._wake:
            took_s, self._took_s = self._took_s, 0.0
        return took_s

    def _is_late(self, frame: VideoFrame) -> bool:
        """Whether nothing new can be seen in it, beside what was looked at."""
        if self._newest_ns is None:
            return False
        return -BACK_NS < frame.stamp_ns - self._newest_ns < APART_NS

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopping and (self._rests or self._gives_way or not self._waiting):
                    self._wake.wait()
                if self._stopping:
                    return
            with self._looking:
                with self._wake:
                    if not self._waiting:  # forgotten meanwhile
                        continue
                    frame = self._next()
                    self._newest_ns = frame.stamp_ns
                self._see(frame)

    def _see(self, frame: VideoFrame) -> None:
        began_s = time.perf_counter()
        try:
            self._tell(self._look(frame), frame.stamp_ns)
        except Exception as error:  # one picture must not end the rest
            self.failed_pictures += 1
            if not self._fails:
                what = f"{type(error).__name__}: {error}"
                self._trouble(f"a picture of the person could not be looked at ({what})")
            self._fails = True
            if not isinstance(error, AvatarForcingError):
                self._mend()
        else:
            self._fails = False
        with self._wake:
            self._took_s += time.perf_counter() - began_s
