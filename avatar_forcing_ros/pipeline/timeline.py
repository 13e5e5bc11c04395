"""Stamped inputs to gapless tracks. No wall clock in here: media time alone decides.

A track begins at media time zero. What comes in is laid at its stamp when it is taken, so the
order of arrival does not matter. What comes late, twice or not at all is counted, never guessed:
missing sound is silence, a missing picture is the last face seen. An input that nobody sends is no
loss and counts nothing; one that has sent something within the last second is live and expected to
go on.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.timebase import (
    FRAME_PERIOD_NS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    frame_stamp_ns,
    frames_to_samples,
)

LONGEST_GAP_SAMPLES = 60 * SAMPLE_RATE_HZ
JITTER_SAMPLES = SAMPLE_RATE_HZ // 50  # stamps closer than 20 ms to the expected one join on
LIVE_SAMPLES = SAMPLE_RATE_HZ
PAUSE_SAMPLES = SAMPLE_RATE_HZ // 5  # a longer hole in a voice is a pause, not a loss
LIVE_NS = 1_000_000_000
KEPT_PICTURES = 64  # that wait for their turn
PERIODS_SEEN, FEW_PERIODS = 25, 5
USUAL_SHARE = 0.8  # of all periods are no longer than the usual one: cameras are not regular
GAP_PERIODS = 1.5  # of the usual one between two pictures: one is missing

Sound = NDArray[np.float32]


class SoundTrack:
    """One sound stream, 16 kHz mono, taken frame by frame.

    A microphone is `continuous`: it is expected to go on, and what it sends twice is dropped. A
    voice is not: it comes in utterances, may come faster than it can be said, and then waits for
    its turn.
    """

    def __init__(self, *, continuous: bool = True) -> None:
        self._continuous = continuous
        self._laid = np.zeros(0, np.float32)  # sound from `_taken` on, in its place
        self._taken = 0  # samples handed out so far
        self._cursor = 0  # where the next sound is expected
        self._heard = 0  # just after the newest sound that was laid
        self._pending: list[tuple[int, Sound]] = []  # by start, not laid yet
        self.filled_samples = 0
        self.dropped_samples = 0
        self.mended_samples = 0

    @property
    def end_sample(self) -> int:
        """Position just after the newest sound, laid or waiting."""
        waiting = max((start + len(sound) for start, sound in self._pending), default=0)
        return max(self._cursor if self._heard else 0, waiting)

    def has(self, frame: int) -> bool:
        """Whether sound up to the end of `frame` has come without a gap."""
        end, needed = self._cursor, frames_to_samples(frame + 1)
        for start, sound in self._pending:
            place = self._place(start, end, len(sound))
            if end >= needed or place > end:
                break
            end = place + len(sound)
        return end >= needed

    def live(self, frame: int) -> bool:
        """Whether sound of `frame` or later can be expected."""
        reach = LIVE_SAMPLES if self._continuous else PAUSE_SAMPLES
        newest = max((start + len(sound) for start, sound in self._pending), default=0)
        return max(self._heard, newest) > max(0, frames_to_samples(frame) - reach)

    @property
    def waiting_samples(self) -> int:
        """Sound that has come and is not taken yet."""
        return len(self._laid) + sum(len(sound) for _, sound in self._pending)

    @property
    def ever(self) -> bool:
        """Whether any sound has come at all."""
        return bool(self._heard or self._pending)

    def push(self, chunk: AudioChunk) -> None:
        """Note `chunk` at its stamp. Samples that are not finite become silence.

        Raises ValueError for another rate than 16 kHz and for a stamp that leaves a gap of more
        than a minute.
        """
        if chunk.rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"expected {SAMPLE_RATE_HZ} Hz, got {chunk.rate_hz} Hz")
        samples = np.asarray(chunk.samples, np.float32)
        broken = ~np.isfinite(samples)
        if broken.any():
            self.mended_samples += int(broken.sum())
            samples = np.where(broken, np.float32(0), samples)
        start = round(chunk.stamp_ns * SAMPLE_RATE_HZ / 1e9)
        gap = start - max(self.end_sample, self._taken)
        if gap > LONGEST_GAP_SAMPLES:
            raise ValueError(f"sound stamped {gap / SAMPLE_RATE_HZ:.0f} s after what came")
        if len(samples):
            bisect.insort(self._pending, (start, samples), key=lambda waiting: waiting[0])

    def take(self, frames: int) -> Sound:
        """The next `frames` of sound ``[640 frames]``; silence where none has come."""
        live = self.live(self._taken // SAMPLES_PER_FRAME)
        count = frames_to_samples(frames)
        end = self._taken + count
        while self._pending and self._pending[0][0] < end:
            self._lay(*self._pending.pop(0))
        out, self._laid = self._laid[:count], self._laid[count:]
        missing = count - len(out)
        if live and self._continuous:
            self.filled_samples += missing
        self._taken = end
        self._cursor = max(self._cursor, end)
        return np.concatenate((out, np.zeros(missing, np.float32)))

    def skip(self, frames: int) -> None:
        """Give up the next `frames`; what sound there was in them is counted as dropped."""
        before = self.filled_samples
        self.dropped_samples += int(np.count_nonzero(self.take(frames)))
        self.filled_samples = before

    def clear(self) -> int:
        """Drop all sound that has not been taken; how many samples that were."""
        dropped = self.waiting_samples
        self.dropped_samples += dropped
        self._laid, self._pending = self._laid[:0], []
        self._cursor = self._taken
        self._heard = 0  # nobody waits for the rest of it
        return dropped

    def _lay(self, start: int, samples: Sound) -> None:
        place = self._place(start, self._cursor, len(samples))
        if place < self._cursor:
            late = min(len(samples), self._cursor - place)
            self.dropped_samples += late
            samples, place = samples[late:], place + late
        if not len(samples):
            return
        gap = place - self._cursor
        if self._continuous:
            self.filled_samples += gap if self._heard else 0
        elif place - self._heard <= PAUSE_SAMPLES:  # within an utterance
            self.filled_samples += place - self._heard
        self._laid = np.concatenate((self._laid, np.zeros(gap, np.float32), samples))
        self._cursor = self._heard = place + len(samples)

    def _place(self, start: int, cursor: int, count: int) -> int:
        """Where `count` samples stamped `start` belong when the next are expected at `cursor`.

        Stamps may jitter, but by less than a chunk: else one that was lost would go unseen.
        """
        if start > cursor:
            return cursor if start - cursor <= min(JITTER_SAMPLES, count * 3 // 4) else start
        joins = cursor - start <= JITTER_SAMPLES
        return cursor if joins or not self._continuous else start


class _Stamped:
    """Stamps of pictures or of motion in order, and whether one is missing among them."""

    def __init__(self) -> None:
        self.stamps: list[int] = []  # waiting
        self.last_ns: int | None = None  # given last
        self._newest_ns: int | None = None
        self._periods: list[int] = []

    @property
    def ever(self) -> bool:
        """Whether anything has come at all."""
        return self._newest_ns is not None

    def note(self, stamp_ns: int) -> int | None:
        """Where `stamp_ns` belongs among those waiting; None if its time is over."""
        if self.last_ns is not None and stamp_ns <= self.last_ns:
            return None
        if self._newest_ns is None or stamp_ns > self._newest_ns:
            self._newest_ns = stamp_ns
        at = bisect.bisect_right(self.stamps, stamp_ns)
        self.stamps.insert(at, stamp_ns)
        return at

    def due(self, frame: int) -> int:
        """How many of those waiting are not after the beginning of `frame`."""
        return bisect.bisect_right(self.stamps, frame_stamp_ns(frame))

    def given(self, count: int) -> None:
        """The first `count` of those waiting have been given out."""
        path = self._path(count)
        self._periods = [*self._periods, *(b - a for a, b in pairwise(path))][-PERIODS_SEEN:]
        self.last_ns = self.stamps[count - 1]
        del self.stamps[:count]

    def has(self, frame: int) -> bool:
        """Whether all up to the beginning of `frame` have come, as far as their rhythm tells."""
        if self._newest_ns is None or self._newest_ns < frame_stamp_ns(frame):
            return False
        here = [b - a for a, b in pairwise(self._path(len(self.stamps)))]
        longest = GAP_PERIODS * self._usual_period_ns(here)
        return all(period <= longest for period in here)

    def _usual_period_ns(self, here: list[int]) -> float:
        """The sender's rhythm by what was given; at first by what is `here`."""
        if len(self._periods) < FEW_PERIODS:
            return max(FRAME_PERIOD_NS, median(here or [FRAME_PERIOD_NS]))
        return sorted(self._periods)[int(USUAL_SHARE * len(self._periods))]

    def _path(self, count: int) -> list[int]:
        """The stamp given last and the first `count` of those waiting."""
        return [s for s in (self.last_ns, *self.stamps[:count]) if s is not None]

    def live(self, frame: int) -> bool:
        """Whether something of `frame` or later can be expected."""
        return self._newest_ns is not None and self._newest_ns > frame_stamp_ns(frame) - LIVE_NS


class PictureTrack:
    """Pictures of the user at any rate, taken frame by frame at 25 Hz."""

    def __init__(self) -> None:
        self._order = _Stamped()
        self._pictures: list[VideoFrame] = []
        self._taken = 0
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
        if len(self._pictures) > KEPT_PICTURES:
            self._order.given(1)
            del self._pictures[0]
            self.dropped_pictures += 1

    def has(self, frame: int) -> bool:
        """Whether the picture for `frame`, and all before, have come."""
        return self._order.has(frame)

    def live(self, frame: int) -> bool:
        """Whether a picture for `frame` or later can be expected."""
        return self._order.live(frame)

    def take(self, frames: int) -> list[VideoFrame]:
        """For each of the next `frames` the newest picture not after its beginning, if it is new.

        Each carries the stamp of its frame. A live stream's frame without a new one is counted.
        """
        out = []
        for frame in range(self._taken, self._taken + frames):
            due = self._order.due(frame)
            if due:
                out.append(VideoFrame(self._pictures[due - 1].pixels, frame_stamp_ns(frame)))
                self._order.given(due)
                del self._pictures[:due]
            elif self.live(frame):
                self.filled_frames += 1
        self._taken += frames
        return out


class MotionTrack:
    """The user's motion, taken frame by frame: the newest value not after the frame's beginning.

    So a frame is settled as soon as a value of that time or later has come, in order.
    """

    def __init__(self, width: int) -> None:
        self._order = _Stamped()
        self._values: list[NDArray[np.float32]] = []
        self._last = np.zeros(width, np.float32)
        self._taken = 0
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

    def has(self, frame: int) -> bool:
        """Whether a value at or after the beginning of `frame`, and all before, have come."""
        return self._order.has(frame)

    def live(self, frame: int) -> bool:
        """Whether a value for `frame` or later can be expected."""
        return self._order.live(frame)

    def take(self, frames: int) -> NDArray[np.float32]:
        """The next `frames` values ``[frames, D]``; the last one where none is new.

        That is counted for a live stream.
        """
        rows = []
        for frame in range(self._taken, self._taken + frames):
            due = self._order.due(frame)
            if due:
                self._last = self._values[due - 1]
                self._order.given(due)
                del self._values[:due]
            elif self.live(frame):
                self.filled_frames += 1
            rows.append(self._last)
        self._taken += frames
        return np.stack(rows)


Track = SoundTrack | PictureTrack | MotionTrack


def complete(tracks: Sequence[Track], first: int, last: int) -> bool:
    """Whether all live `tracks` have come up to frame `last`; `first` begins the block."""
    return all(track.has(last) for track in tracks if track.live(first))
