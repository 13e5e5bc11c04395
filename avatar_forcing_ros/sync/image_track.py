"""Images of the user, or the motion found in them: one for each avatar frame at most.

A frame gets the first image of its own 40 ms, so what a camera sees at any moment of a block is
answered by that block, and a frame is complete as soon as its image has come. An image that came
just before the period and that no frame has got yet counts as within it: stamps jitter, and a
camera whose images fall on the border between two frames would lose some of them.

What comes before its turn waits, however many images that are: a fast camera's clock may be ahead.
Only those that a frame can get are kept, and where even they are too many the newest go, whose
turn is last.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame, check_values
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, frame_stamp_ns

T = TypeVar("T")
LIVE_NS = 1_000_000_000
JITTER_NS = 8_000_000  # an image may be so much before its frame's period
MAX_IMAGES = 64  # that wait for their turn, one for each frame
MAX_WAITING = 16 * MAX_IMAGES  # of all that waits: motion is small, and so are stamps
KNOWN_PERIODS, FEW_PERIODS = 25, 5
USUAL_SHARE = 0.8  # of all periods are no longer than the usual one: cameras are not regular
SOON_SHARE = 0.2  # of all periods are no longer than the one after which the next may come
GAP_PERIODS = 1.5  # of the usual one between two images: one is missing


class _StampedTrack(Generic[T]):
    """What waits for its frame, in order of stamps, and whether something is missing in it.

    A live stream comes in order, so what it has left out is not waited for. Its rhythm is guessed
    from what came lately: a guess that is wrong costs an image, one that is too careful the time
    to wait for it. A replay has that time and loses nothing (`lossless`): all that waits is kept,
    and what can be missing is taken to be.
    """

    def __init__(self, *, lossless: bool = False) -> None:
        self.lossless = lossless
        self._stamps: list[int] = []
        self._values: list[T | None] = []  # at these stamps; None: only the stamp is of use
        self._used_ns: list[int] = []  # the newest stamp that `_learn` knows, and those used since
        self._newest_ns: int | None = None
        self._periods: list[int] = []
        self._next_frame = 0  # that gets something
        self._taken = 0  # frames
        self.filled_frames = 0
        self.dropped_frames = 0

    @property
    def started(self) -> bool:
        """Whether anything has come at all."""
        return self._newest_ns is not None

    def live(self, frame: int) -> bool:
        """Whether something for `frame` or later can be expected."""
        return self._newest_ns is not None and self._newest_ns > frame_stamp_ns(frame) - LIVE_NS

    def has(self, frame: int) -> bool:
        """Whether all up to `frame` has come, as far as the sender's rhythm tells."""
        before = [-FRAME_PERIOD_NS] if self.lossless else []  # the first, too, may be missing
        known = [*(self._used_ns or before), *self._stamps]
        if not self.lossless:  # what a camera skipped does not come later
            return self.reaches(frame) or self._next_is_later(frame, known)
        return self.reaches(frame) and not _gap(known, self._usual_period_ns())

    def reaches(self, frame: int) -> bool:
        """The same where all comes in order, and none is missing however far apart: of a file."""
        at = 0
        for each in range(self._next_frame, frame + 1):
            if self._begin_of(each, at) == len(self._stamps):
                return False
            at = self._end_of(each, at)
        return True

    def _next_is_later(self, frame: int, known: Sequence[int]) -> bool:
        """Whether a slow sender has nothing more for `frame`, after the `known` stamps."""
        if len(self._periods) < FEW_PERIODS or not known:
            return False
        soon_ns = sorted(self._periods)[int(SOON_SHARE * len(self._periods))]
        return known[-1] + soon_ns - JITTER_NS >= frame_stamp_ns(frame + 1)

    def _insert(self, stamp_ns: int, value: T) -> int | None:
        """Add `value` at its stamp; its index, or None if its time is over."""
        if self._used_ns and stamp_ns <= self._used_ns[-1]:
            self.dropped_frames += 1
            return None
        if self._newest_ns is None or stamp_ns > self._newest_ns:
            self._newest_ns = stamp_ns
        at = bisect.bisect_right(self._stamps, stamp_ns)
        self._stamps.insert(at, stamp_ns)
        self._values.insert(at, value)
        return at

    def _drop_newest(self) -> None:
        del self._stamps[-1], self._values[-1]
        self.dropped_frames += 1

    def _next(self) -> T | None:
        """What the next frame gets; a live stream's frame that gets nothing is counted."""
        frame, end = self._next_frame, self._end_of(self._next_frame)
        self._next_frame += 1
        value = self._values[end - 1] if end else None
        if value is None:
            self.filled_frames += self.live(frame)
        else:
            self._use(end)
        return value

    def _skip(self, frames: int) -> list[T | None]:
        """Give up the next `frames`, however many; what was for them."""
        self._taken += frames
        if self._taken <= self._next_frame:  # theirs was given ahead
            return []
        given_up = self._use(self._end_of(self._taken - 1))
        self._learn()
        self._next_frame = self._taken
        return given_up

    def _use(self, count: int) -> list[T | None]:
        """Take the first `count` of those that wait."""
        used = self._values[:count]
        self._used_ns += self._stamps[:count]
        del self._stamps[:count], self._values[:count]
        return used

    def _begin_of(self, frame: int, start: int = 0) -> int:
        """Index of the first from `start` on that is not before the period of `frame`."""
        return bisect.bisect_left(self._stamps, frame_stamp_ns(frame) - JITTER_NS, start)

    def _end_of(self, frame: int, start: int = 0) -> int:
        """Up to where those from `start` on are used up by `frame`; the last is its own.

        That is the first of its period, else the newest before it.
        """
        first = self._begin_of(frame, start)
        own = first < len(self._stamps) and self._stamps[first] < frame_stamp_ns(frame + 1)
        return first + own

    def _learn(self) -> None:
        """Take the rhythm of those used since the last time into account."""
        periods = (b - a for a, b in pairwise(self._used_ns))
        self._periods = [*self._periods, *periods][-KNOWN_PERIODS:]
        self._used_ns = self._used_ns[-1:]

    def _usual_period_ns(self) -> float:
        """The sender's rhythm by what was used; at first by what is here.

        Of a replay the shortest: the usual one would be wrong where messages were lost or came out
        of order, and what then is taken for complete would depend on how busy the machine is.
        """
        is_known = len(self._periods) >= FEW_PERIODS
        if self.lossless:
            return max(FRAME_PERIOD_NS, min(self._periods) if is_known else 0)
        if not is_known:
            here = [b - a for a, b in pairwise((*self._used_ns, *self._stamps))]
            return max(FRAME_PERIOD_NS, median(here or [FRAME_PERIOD_NS]))
        return sorted(self._periods)[int(USUAL_SHARE * len(self._periods))]


class ImageTrack(_StampedTrack[VideoFrame]):
    """Images of the user at any rate, taken frame by frame at 25 Hz."""

    def push(self, image: VideoFrame) -> None:
        """Add an image, in any order; one that is too late is dropped."""
        at = self._insert(image.stamp_ns, image)
        if at is None:
            return
        for near in (at + 1, at, at - 1):
            self._forget_useless(near)
        if not self.lossless and len(self._values) > MAX_IMAGES:
            images = sum(value is not None for value in self._values)
            if images > MAX_IMAGES or len(self._values) > MAX_WAITING:
                self._drop_newest()

    def ahead(self, end: int) -> VideoFrame | None:
        """The next image that a later `take`, up to frame `end`, would give for certain.

        None where there is none yet, or something may still come before it: images given ahead
        are those that `take` would have given, in the same order, and it gives the others.
        """
        while self._next_frame < end and self._is_certain():
            image = self._next_image()
            if image:
                return image
        return None

    def take(self, frames: int) -> list[VideoFrame]:
        """For each of the next `frames` its image, if there is one that was not given yet.

        Each carries the stamp of its frame. A live stream's frame without one is counted.
        """
        self._taken += frames
        images = [self._next_image() for _ in range(self._next_frame, self._taken)]
        self._learn()
        return [image for image in images if image]

    def skip(self, frames: int) -> None:
        """Give up the next `frames`, however many, and their images."""
        self.dropped_frames += len(self._skip(frames))

    def _next_image(self) -> VideoFrame | None:
        stamp_ns, image = frame_stamp_ns(self._next_frame), self._next()
        return VideoFrame(image.pixels, stamp_ns) if image else None

    def _is_certain(self) -> bool:
        """Whether what the next frame gets cannot change any more.

        So the rhythm is known, and nothing is missing up to what it gets.
        """
        if len(self._periods) < FEW_PERIODS or not self.reaches(self._next_frame):
            return False
        path = [*self._used_ns[-1:], *self._stamps[: self._begin_of(self._next_frame) + 1]]
        period_ns = self._usual_period_ns() if self.lossless else median(self._periods)
        return not _gap(path, period_ns)

    def _forget_useless(self, at: int) -> None:
        """Let go of the image at index `at` where no frame can get it.

        A frame gets the first of its period, or the last before it where it has none of its own.
        One that came just before the period may be the frame's before, where that had none, and
        then the second is.
        """
        if not 0 < at < len(self._values) - 1:
            return
        own, stamps = self._period(at), self._stamps
        first = stamps[at - 1] >= frame_stamp_ns(own)
        if self._period(at - 1) == own and at >= 2:
            first = first or stamps[at - 2] >= frame_stamp_ns(own - 1)
        if first and self._period(at + 1) <= own + 1:
            self._values[at] = None

    def _period(self, at: int) -> int:
        """The frame whose period index `at` falls into."""
        return (self._stamps[at] + JITTER_NS) // FRAME_PERIOD_NS


class MotionTrack(_StampedTrack[NDArray[np.float32]]):
    """The user's motion, taken frame by frame: like images, but the last one stays."""

    def __init__(self, width: int, *, lossless: bool = False) -> None:
        super().__init__(lossless=lossless)
        self._last = np.zeros(width, np.float32)
        self.taken_ns: list[int | None] = []  # stamps of what `take` gave last; None: nothing new

    def push(self, values: NDArray[np.float32], stamp_ns: int) -> None:
        """Add the motion ``[D]`` at `stamp_ns`, in any order; one that is too late is dropped.

        Raises ValueError for values that are not finite, or no motion by their size.
        """
        check_values("user motion", values)
        if self._insert(stamp_ns, values) is None or self.lossless:
            return
        if len(self._values) > MAX_WAITING:
            self._drop_newest()

    def take(self, frames: int) -> NDArray[np.float32]:
        """The next `frames` values ``[frames, D]``; the last one where none is new.

        That is counted for a live stream.
        """
        rows, self.taken_ns = [], []
        for _ in range(frames):
            values = self._next()
            self.taken_ns.append(None if values is None else self._used_ns[-1])
            self._last = self._last if values is None else values
            rows.append(self._last)
        self._taken += frames
        self._learn()
        return np.stack(rows)

    def skip(self, frames: int) -> None:
        """Give up the next `frames`, however many; the last value in them stays."""
        for values in self._skip(frames)[-1:]:
            assert values is not None  # all motion is kept
            self._last = values


def _gap(stamps: Sequence[int], period_ns: float) -> bool:
    """Whether one is missing among `stamps` of that rhythm."""
    return any(b - a > GAP_PERIODS * period_ns for a, b in pairwise(stamps))
