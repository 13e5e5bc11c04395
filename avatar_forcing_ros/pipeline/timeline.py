"""Stamped inputs to gapless tracks. No wall clock in here: media time alone decides.

A track begins at media time zero. What comes in is laid at its stamp when it is taken, so the
order of arrival does not matter. What comes late, twice or not at all is counted, never guessed:
missing sound is silence, a missing picture (`picture_track`) is the last face seen. An input that
nobody sends is no loss and counts nothing; one that has sent something within the last second is
live and expected to go on.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.picture_track import MotionTrack, PictureTrack
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_to_samples

LONGEST_GAP_SAMPLES = 60 * SAMPLE_RATE_HZ
JITTER_SAMPLES = SAMPLE_RATE_HZ // 50  # stamps closer than 20 ms to the expected one join on
LIVE_SAMPLES = SAMPLE_RATE_HZ
PAUSE_SAMPLES = SAMPLE_RATE_HZ // 5  # a longer hole in a voice is a pause, not a loss

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


Track = SoundTrack | PictureTrack | MotionTrack


def complete(tracks: Sequence[Track], first: int, last: int) -> bool:
    """Whether all live `tracks` have come up to frame `last`; `first` begins the block."""
    return all(track.has(last) for track in tracks if track.live(first))
