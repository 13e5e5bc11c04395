"""Tracks the user's face in a thread of its own, at the camera's rate; the newest image wins.

A block that is made in time goes before the next image, which belongs to a later one. What is
tracked is passed on as motion, so an image that is still being looked at when its block ends is
waited for as any other input is, up to the deadline.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.runtime.degradation import TRACKING_PERIOD_NS
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread

MAX_WAITING = 3  # images that wait while a block is made
BACK_NS = 1_000_000_000  # stamps that go back by more are of another clock
# So many images are looked at at a time, of all avatars in this process: the motion of their
# blocks is computed by one thread, which would have to share its processor with more. Whoever has
# waited long for a place does without: another one's may hang.
_PLACES = BoundedSemaphore(max(1, len(os.sched_getaffinity(0)) - 1))
MAX_PLACE_WAIT_S = 0.1


class PerceptionThread(StoppableThread):
    """Gives the motion in every image that there was time for to `on_motion`, with its stamp.

    And whether the image was looked at as soon as it had come.

    `track` is called in this thread alone, and never while `resting`; after it has raised anything
    but one of this package's errors `recover` is called. `on_warning` gets a sentence.
    """

    def __init__(
        self,
        track: Callable[[VideoFrame], UserMotion],
        recover: Callable[[], None],
        on_motion: Callable[[UserMotion, int, bool], None],
        on_warning: Callable[[str], None],
    ) -> None:
        super().__init__("avatar-perception")
        self._track, self._recover = track, recover
        self._on_motion, self._on_warning = on_motion, on_warning
        self._tracking = Lock()
        self._failing = self._rests = self._looks = False
        self._gives_way = self._late = False  # while a block is made, and it is a late one
        self._left = 0  # images that may be begun meanwhile
        self._took_s = 0.0
        self.period_ns = TRACKING_PERIOD_NS
        """Images that are nearer to the last one that was tracked are left out."""
        self._forget()

    def _forget(self) -> None:
        self._waiting: deque[VideoFrame] = deque()  # in order of their stamps
        self._kept = 0  # of them, that came while this gave way: a newer one replaces none of them
        self._newest_ns: int | None = None  # of the images that were tracked
        self._prompt_ns: int | None = None  # of the one that came when there was time for it
        self.dropped_frames = 0
        self.failed_frames = 0

    def put(self, frame: VideoFrame) -> None:
        """Leave an image here; one that still waits, and is older, is replaced by it."""
        with self._wake:
            older = self._waiting[-1] if self._waiting else None
            if self._is_late(frame) or (older and older.stamp_ns >= frame.stamp_ns):
                self.dropped_frames += 1
                return
            if len(self._waiting) > self._kept:
                self._waiting.pop()
                self.dropped_frames += 1
            if not (self._waiting or self._gives_way or self._looks):
                self._prompt_ns = frame.stamp_ns
            self._waiting.append(frame)
            if self._gives_way and not self._late:
                self._kept = len(self._waiting)
            if len(self._waiting) > MAX_WAITING:
                self._next()
                self.dropped_frames += 1
            self._wake.notify()

    def _next(self) -> VideoFrame:
        self._kept = max(0, self._kept - 1)
        return self._waiting.popleft()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Track nothing while this block runs; images of before it give no motion any more."""
        with self._wake:
            self._rests = True
            self._waiting.clear()
            self._kept = 0
        try:
            with self._tracking:
                with self._wake:
                    self._forget()
                yield
        finally:
            with self._wake:
                self._rests = False
                self._wake.notify()

    @contextmanager
    def giving_way(self, late: bool = False) -> Iterator[None]:
        """While this block runs no image is begun: what is seen in it is for the next one.

        The images that come meanwhile are tracked afterwards, if they are few. Where blocks are
        `late`, and follow on each other, one is begun, the newest: a face has to be seen at times.
        """
        with self._wake:
            self._gives_way, self._late, self._left = True, late, int(late)
        try:
            yield
        finally:
            with self._wake:
                self._gives_way = False
                self._wake.notify()

    def took_s(self) -> float:
        """How long tracking took since this was asked last."""
        with self._wake:
            took_s, self._took_s = self._took_s, 0.0
        return took_s

    def _is_late(self, frame: VideoFrame) -> bool:
        """Whether nothing new can be seen in it, beside what was tracked."""
        if self._newest_ns is None:
            return False
        return -BACK_NS < frame.stamp_ns - self._newest_ns < self.period_ns

    def _holds(self) -> bool:
        """Whether no image is to be begun now."""
        return self._rests or (self._gives_way and self._left <= 0)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopping and (self._holds() or not self._waiting):
                    self._wake.wait()
                if self._stopping:
                    return
            with _place(), self._tracking:
                with self._wake:
                    if self._holds() or not self._waiting:  # meanwhile
                        continue
                    frame = self._next()
                    if self._is_late(frame):
                        self.dropped_frames += 1
                        continue
                    self._newest_ns = frame.stamp_ns
                    self._looks = True
                    self._left -= 1
                self._track_one(frame)
                self._looks = False

    def _track_one(self, frame: VideoFrame) -> None:
        began_s = time.perf_counter()
        try:
            motion = self._track(frame)
            self._on_motion(motion, frame.stamp_ns, frame.stamp_ns == self._prompt_ns)
        except Exception as error:  # one image must not end the rest
            self.failed_frames += 1
            if not self._failing:
                what = f"{type(error).__name__}: {error}"
                self._on_warning(f"the face in an image of the user could not be tracked ({what})")
            self._failing = True
            if not isinstance(error, AvatarForcingError):
                self._recover()
        else:
            self._failing = False
        with self._wake:
            self._took_s += time.perf_counter() - began_s


@contextmanager
def _place() -> Iterator[None]:
    has_place = _PLACES.acquire(timeout=MAX_PLACE_WAIT_S)
    try:
        yield
    finally:
        if has_place:
            _PLACES.release()
