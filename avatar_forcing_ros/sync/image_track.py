"""Pictures of the user, or the motion somebody has seen in them: one for each frame at most.

A frame gets the first picture of its own 40 ms, so what a camera sees at any moment of a block is
answered by that block, and a frame is settled as soon as its picture has come. A picture that came
just before the period and that no frame has got yet counts as within it: stamps jitter, and a
camera whose pictures fall on the border between two frames would lose some of them.

What comes before its turn waits, however many pictures that are: a fast camera's clock may be
ahead. Only those that a frame can get are kept, and where even they are too many the newest go,
whose turn is last.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, frame_stamp_ns

LIVE_NS = 1_000_000_000
JITTER_NS = 8_000_000  # a picture may be so much before its frame's period
KEPT_PICTURES = 64  # that wait for their turn, one for each frame
KEPT_VALUES = 16 * KEPT_PICTURES  # the same of motion, which is small
PERIODS_SEEN, FEW_PERIODS = 25, 5
USUAL_SHARE = 0.8  # of all periods are no longer than the usual one: cameras are not regular
GAP_PERIODS = 1.5  # of the usual one between two pictures: one is missing


class _Stamped:
    """Stamps of pictures or of motion in order, and whether one is missing among them."""

    def __init__(self) -> None:
        self.stamps: list[int] = []  # waiting
        self._given: list[int] = []  # the newest that `learn` knows, and those given since
        self._newest_ns: int | None = None
        self._periods: list[int] = []

    @property
    def ever(self) -> bool:
        """Whether anything has come at all."""
        return self._newest_ns is not None

    def note(self, stamp_ns: int) -> int | None:
        """Where `stamp_ns` belongs among those waiting; None if its time is over."""
        if self._given and stamp_ns <= self._given[-1]:
            return None
        if self._newest_ns is None or stamp_ns > self._newest_ns:
            self._newest_ns = stamp_ns
        at = bisect.bisect_right(self.stamps, stamp_ns)
        self.stamps.insert(at, stamp_ns)
        return at

    def due(self, frame: int, start: int = 0) -> int:
        """Up to where those waiting from `start` on are used up by `frame`; the last is its own.

        That is the first of its period, else the newest before it.
        """
        first = self._in_period(frame, start)
        own = first < len(self.stamps) and self.stamps[first] < frame_stamp_ns(frame + 1)
        return first + own

    def period(self, at: int) -> int:
        """The frame whose period the waiting one at index `at` falls into."""
        return (self.stamps[at] + JITTER_NS) // FRAME_PERIOD_NS

    def given(self, count: int) -> None:
        """The first `count` of those waiting have been given out."""
        self._given += self.stamps[:count]
        del self.stamps[:count]

    def learn(self) -> None:
        """Take the rhythm of those given since the last time into account."""
        periods = (b - a for a, b in pairwise(self._given))
        self._periods = [*self._periods, *periods][-PERIODS_SEEN:]
        self._given = self._given[-1:]

    def has(self, first: int, last: int) -> bool:
        """Whether all for the frames `first` to `last` have come, as far as their rhythm tells.

        Frames before `first` have got theirs.
        """
        here = [*self._given, *self.stamps]
        return self.reaches(first, last) and not _gap(here, self._usual_period_ns())

    def has_surely(self, frame: int) -> bool:
        """Whether what `frame`, the next one, gets cannot change any more.

        So the rhythm is known, and nothing is missing up to what it gets.
        """
        if len(self._periods) < FEW_PERIODS or not self.reaches(frame, frame):
            return False
        path = [*self._given[-1:], *self.stamps[: self._in_period(frame, 0) + 1]]
        return not _gap(path, median(self._periods))

    def live(self, frame: int) -> bool:
        """Whether something of `frame` or later can be expected."""
        return self._newest_ns is not None and self._newest_ns > frame_stamp_ns(frame) - LIVE_NS

    def _in_period(self, frame: int, start: int) -> int:
        """The first of those waiting from `start` on that is not before the period of `frame`."""
        return bisect.bisect_left(self.stamps, frame_stamp_ns(frame) - JITTER_NS, start)

    def reaches(self, first: int, last: int) -> bool:
        """The same where they come in order and none is missing."""
        at = 0
        for frame in range(first, last + 1):
            if self._in_period(frame, at) == len(self.stamps):
                return False
            at = self.due(frame, at)
        return True

    def _usual_period_ns(self) -> float:
        """The sender's rhythm by what was given; at first by what is here."""
        if len(self._periods) < FEW_PERIODS:
            here = [b - a for a, b in pairwise((*self._given, *self.stamps))]
            return max(FRAME_PERIOD_NS, median(here or [FRAME_PERIOD_NS]))
        return sorted(self._periods)[int(USUAL_SHARE * len(self._periods))]


def _gap(stamps: Sequence[int], period_ns: float) -> bool:
    """Whether one is missing among `stamps` of that rhythm."""
    return any(b - a > GAP_PERIODS * period_ns for a, b in pairwise(stamps))


class PictureTrack:
    """Pictures of the user at any rate, taken frame by frame at 25 Hz."""

    def __init__(self, *, bounded: bool = True) -> None:
        """`bounded`: where too many wait some are dropped; else none ever is."""
        self._order = _Stamped()
        self.bounded = bounded
        self._pictures: list[VideoFrame | None] = []  # None: only its stamp is of use
        self._kept = 0  # of them that are not None
        self._given = self._taken = 0  # frames: given may be ahead
        self.filled_frames = 0
        self.dropped_pictures = 0

    @property
    def ever(self) -> bool:
        """Whether any picture has come at all."""
        return self._order.ever

    def push(self, frame: VideoFrame) -> None:
        """Note a picture, in any order; one that is too late is dropped."""
        at = self._order.note(frame.stamp_ns)
        if at is None:
            self.dropped_pictures += 1
            return
        self._pictures.insert(at, frame)
        self._kept += 1
        for near in (at + 1, at, at - 1):
            self._forget_useless(near)
        if self.bounded and (self._kept > KEPT_PICTURES or len(self._pictures) > KEPT_VALUES):
            self._drop_newest()

    def _forget_useless(self, at: int) -> None:
        """Let go of the picture at index `at` where no frame can get it.

        A frame gets the first of its period, or the last before it where it has none of its own.
        One that came just before the period may be the frame's before, where that had none, and
        then the second is.
        """
        if not 0 < at < len(self._pictures) - 1 or self._pictures[at] is None:
            return
        own, stamps = self._order.period(at), self._order.stamps
        first = stamps[at - 1] >= frame_stamp_ns(own)
        if self._order.period(at - 1) == own and at >= 2:
            first = first or stamps[at - 2] >= frame_stamp_ns(own - 1)
        if first and self._order.period(at + 1) <= own + 1:
            self._pictures[at] = None
            self._kept -= 1

    def _drop_newest(self) -> None:
        self._order.stamps.pop()
        self._kept -= self._pictures.pop() is not None
        self.dropped_pictures += 1

    def has(self, frame: int) -> bool:
        """Whether the picture for `frame`, and all before, have come."""
        return self._order.has(self._given, frame)

    def settled(self, frame: int) -> bool:
        """The same for pictures that come in order, however far apart: those of a file."""
        return self._order.reaches(self._given, frame)

    def live(self, frame: int) -> bool:
        """Whether a picture for `frame` or later can be expected."""
        return self._order.live(frame)

    def ahead(self, end: int) -> VideoFrame | None:
        """The next picture that a later `take`, up to frame `end`, would give for certain.

        None where there is none yet, or something may still come before it: pictures given ahead
        are those that `take` would have given, in the same order, and it gives the others.
        """
        while self._given < end and self._order.has_surely(self._given):
            picture = self._next()
            if picture:
                return picture
        return None

    def take(self, frames: int) -> list[VideoFrame]:
        """For each of the next `frames` its picture, if there is one that was not given yet.

        Each carries the stamp of its frame. A live stream's frame without one is counted.
        """
        self._taken += frames
        pictures = [self._next() for _ in range(self._given, self._taken)]
        self._order.learn()
        return [picture for picture in pictures if picture]

    def skip(self, frames: int) -> None:
        """Give up the next `frames`, however many, and their pictures."""
        self._taken += frames
        if self._taken <= self._given:  # they were given ahead
            return
        due = self._order.due(self._taken - 1)
        self.dropped_pictures += due
        self._use(due)
        self._order.learn()
        self._given = self._taken

    def _next(self) -> VideoFrame | None:
        """Give the picture of the next frame."""
        frame, due = self._given, self._order.due(self._given)
        self._given += 1
        picture = self._pictures[due - 1] if due else None
        if picture:
            self._use(due)
            return VideoFrame(picture.pixels, frame_stamp_ns(frame))
        self.filled_frames += self.live(frame)
        return None

    def _use(self, count: int) -> None:
        """The first `count` of those that wait do so no more."""
        self._order.given(count)
        self._kept -= sum(picture is not None for picture in self._pictures[:count])
        del self._pictures[:count]


class MotionTrack:
    """The user's motion, taken frame by frame: like pictures, but the last one stays."""

    def __init__(self, width: int) -> None:
        self._order = _Stamped()
        self._values: list[NDArray[np.float32]] = []
        self._last = np.zeros(width, np.float32)
        self._taken = 0
        self.taken_ns: list[int | None] = []  # stamps of what `take` gave last; None: nothing new
        self.filled_frames = 0
        self.dropped_values = 0

    @property
    def ever(self) -> bool:
        """Whether any motion has come at all."""
        return self._order.ever

    def push(self, values: NDArray[np.float32], stamp_ns: int) -> None:
        """Note the motion ``[D]`` at `stamp_ns`, in any order; one that is too late is dropped."""
        at = self._order.note(stamp_ns)
        if at is None:
            self.dropped_values += 1
        else:
            self._values.insert(at, values)
        if len(self._values) > KEPT_VALUES:
            self._order.stamps.pop()
            del self._values[-1]
            self.dropped_values += 1

    def has(self, frame: int) -> bool:
        """Whether the value for `frame`, and all before, have come."""
        return self._order.has(self._taken, frame)

    def live(self, frame: int) -> bool:
        """Whether a value for `frame` or later can be expected."""
        return self._order.live(frame)

    def take(self, frames: int) -> NDArray[np.float32]:
        """The next `frames` values ``[frames, D]``; the last one where none is new.

        That is counted for a live stream.
        """
        rows = []
        self.taken_ns = []
        for frame in range(self._taken, self._taken + frames):
            due = self._order.due(frame)
            self.taken_ns.append(self._order.stamps[due - 1] if due else None)
            if due:
                self._last = self._values[due - 1]
                self._order.given(due)
                del self._values[:due]
            elif self.live(frame):
                self.filled_frames += 1
            rows.append(self._last)
        self._taken += frames
        self._order.learn()
        return np.stack(rows)

    def skip(self, frames: int) -> None:
        """Give up the next `frames`, however many; the last value in them stays."""
        self._taken += frames
        due = self._order.due(self._taken - 1)
        if due:
            self._last = self._values[due - 1]
            self._order.given(due)
            del self._values[:due]
            self._order.learn()
