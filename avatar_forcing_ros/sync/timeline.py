"""Stamped inputs to gapless tracks. No wall clock in here: media time alone decides.

A track begins at media time zero. What comes in is laid at its stamp when it is taken, so the
order of arrival does not matter. What comes late, twice or not at all is counted, never guessed:
missing sound is silence, a missing picture (`picture_track`) is the last face seen. An input that
nobody sends is no loss and counts nothing; one that has sent something within the last second is
live and expected to go on.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.sync.image_track import MotionTrack, PictureTrack
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_to_samples

LONGEST_GAP_SAMPLES = 60 * SAMPLE_RATE_HZ
JITTER_SAMPLES = SAMPLE_RATE_HZ // 50  # stamps closer than 20 ms to the expected one join on
LATE_SAMPLES = SAMPLE_RATE_HZ // 100  # of a microphone, that push it back instead of being lost
LIVE_SAMPLES = SAMPLE_RATE_HZ
PAUSE_SAMPLES = SAMPLE_RATE_HZ // 5  # a longer hole in a voice is a pause, not a loss
QUEUED_SAMPLES = SAMPLE_RATE_HZ // 2  # so much more of a voice than its time was sent ahead of it
# a microphone's clock is not the avatar's: what it strays is mended a sample in 20 ms at most
STRAY_SAMPLES = SAMPLE_RATE_HZ // 500  # 2 ms; less does no harm
SLIP_SAMPLES = SAMPLE_RATE_HZ // 50
SHORTEST_SAMPLES = SAMPLE_RATE_HZ // 250  # a shorter chunk is not stretched
SMOOTHING_SAMPLES = SAMPLE_RATE_HZ  # stamps jitter from chunk to chunk

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
        # of those, kept at hand: a voice may come in thousands of pieces at once
        self._pending_samples = self._pending_end = 0
        self._stamped_end = 0  # of the newest sound that was laid, by its stamp
        self._stray = 0.0  # how much later than laid a microphone's sound is stamped, smoothed
        self._slip = 0  # by so many samples each chunk of the next `take` is longer
        self.filled_samples = 0
        self.dropped_samples = 0
        self.mended_samples = 0

    @property
    def end_sample(self) -> int:
        """Position just after the newest sound, laid or waiting."""
        return max(self._cursor if self._heard else 0, self._pending_end)

    def has(self, frame: int) -> bool:
        """Whether sound up to the end of `frame` has come without a gap."""
        end, expected, needed = self._cursor, self._expected, frames_to_samples(frame + 1)
        for start, sound in self._pending:
            place = self._place(start, expected, end, len(sound))
            if end >= needed or place > end:
                break
            expected = place + len(sound) + self._slip_of(len(sound))
            end = max(end, expected)
        return end >= needed

    def live(self, frame: int) -> bool:
        """Whether sound of `frame` or later can be expected."""
        reach = LIVE_SAMPLES if self._continuous else PAUSE_SAMPLES
        newest = max(self._heard, self._pending_end)
        return newest > max(0, frames_to_samples(frame) - reach)

    @property
    def waiting_samples(self) -> int:
        """Sound that has come and is not taken yet."""
        return len(self._laid) + self._pending_samples

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
            self._pending_samples += len(samples)
            self._pending_end = max(self._pending_end, start + len(samples))

    def take(self, frames: int) -> Sound:
        """The next `frames` of sound ``[640 frames]``; silence where none has come."""
        live = self.live(self._taken // SAMPLES_PER_FRAME)
        count = frames_to_samples(frames)
        end = self._taken + count
        pieces = [self._laid]
        for gap, samples in self._lay_before(end):
            pieces += [np.zeros(gap, np.float32), samples]
        laid = np.concatenate(pieces) if len(pieces) > 1 else self._laid
        out, self._laid = laid[:count], laid[count:]
        missing = count - len(out)
        if live and self._continuous:
            self.filled_samples += missing
        self._end_at(end)
        return np.concatenate((out, np.zeros(missing, np.float32)))

    def skip(self, frames: int) -> None:
        """Give up the next `frames`; what sound there was in them is counted as dropped.

        A voice that was sent ahead of its time is said later instead: it would lose words. One
        that comes at its own pace would be late for good. However many frames those are, it costs
        no more than the sound that waits.
        """
        filled, count = self.filled_samples, frames_to_samples(frames)
        end = self._taken + count
        if not self._continuous and self._is_queued(end):
            self._taken, self._cursor = end, self._cursor + count
            self._heard += count if self._heard else 0
            return
        given_up, kept = [self._laid[:count]], [self._laid[count:]]
        for _, samples in self._lay_before(end):
            before = max(0, end - (self._cursor - len(samples)))
            given_up.append(samples[:before])
            kept.append(samples[before:])  # only where all from `end` on is laid already
        self.dropped_samples += sum(int(np.count_nonzero(sound)) for sound in given_up)
        self._laid = np.concatenate(kept)
        self.filled_samples = filled
        self._end_at(end)

    def _is_queued(self, end: int) -> bool:
        """Whether what waits of a voice is more than what belongs before `end`, or before now."""
        said_until = self._cursor + self._pending_samples
        stamped_until = max(self._stamped_end, self._pending_end)
        return self.waiting_samples > 0 and said_until - min(end, stamped_until) > QUEUED_SAMPLES

    def _end_at(self, end: int) -> None:
        """All up to `end` has been handed out or given up."""
        self._taken = end
        self._cursor = max(self._cursor, end)
        self._slip = int(np.sign(self._stray)) if abs(self._stray) > STRAY_SAMPLES else 0

    def clear(self) -> int:
        """Drop all sound that has not been taken; how many samples that were."""
        dropped = self.waiting_samples
        self.dropped_samples += dropped
        self._laid, self._pending = self._laid[:0], []
        self._pending_samples = self._pending_end = self._stamped_end = 0
        self._cursor = self._taken
        self._heard = 0  # nobody waits for the rest of it
        self._stray, self._slip = 0.0, 0
        return dropped

    def _lay_before(self, end: int) -> Iterator[tuple[int, Sound]]:
        """Lay what begins before `end`: the silence before each piece in samples, and the piece.

        The cursor is at the piece's end then.
        """
        while self._pending and self._begins_before(end):
            start, samples = self._pending.pop(0)
            self._pending_samples -= len(samples)
            yield from self._lay(start, samples)
        self._pending_end = max((at + len(sound) for at, sound in self._pending), default=0)

    def _begins_before(self, end: int) -> bool:
        """Whether the next sound does, by its stamp or where it joins on."""
        start, samples = self._pending[0]
        place = self._place(start, self._expected, self._cursor, len(samples))
        return min(start, place) < end

    def _lay(self, start: int, samples: Sound) -> Iterator[tuple[int, Sound]]:
        self._stamped_end = max(self._stamped_end, start + len(samples))
        place = self._place(start, self._expected, self._cursor, len(samples))
        if place < self._cursor:
            late = min(len(samples), self._cursor - place)
            self.dropped_samples += late
            samples, place = samples[late:], place + late
        elif self._continuous and place == self._cursor and self._heard:
            samples = self._mended(samples, start - place)
        if not len(samples):
            return
        gap = place - self._cursor
        if self._continuous:
            self.filled_samples += gap if self._heard else 0
        elif place - self._heard <= PAUSE_SAMPLES:  # within an utterance
            self.filled_samples += place - self._heard
        self._cursor = self._heard = place + len(samples)
        yield gap, samples

    def _mended(self, samples: Sound, late: int) -> Sound:
        """Sound that joins on although it is stamped `late` samples after that place.

        Where stamps keep straying to one side it is stretched a little: two clocks differ.
        """
        count, slip = len(samples), self._slip_of(len(samples))
        self._stray += (late - self._stray) * count / (count + SMOOTHING_SAMPLES)
        if not slip:
            return samples
        self._stray -= slip
        at = np.arange(count + slip) * (count / (count + slip))
        return np.interp(at, np.arange(count), samples).astype(np.float32)

    def _slip_of(self, count: int) -> int:
        """How many samples are added to a chunk of `count`, until the next `take`."""
        return self._slip * max(1, count // SLIP_SAMPLES) if count >= SHORTEST_SAMPLES else 0

    @property
    def _expected(self) -> int:
        """Where the next sound would join on; before the cursor if silence took its place."""
        return self._heard if self._continuous and self._heard else self._cursor

    def _place(self, start: int, expected: int, cursor: int, count: int) -> int:
        """Where `count` samples stamped `start` belong when nothing is laid from `cursor` on.

        Stamps may jitter, but by less than a chunk: else one that was lost would go unseen. They
        may stray from what was laid, too: what counts is how far they are from where they are now.
        What comes a little too late is heard a little later, what is far too late is dropped.
        """
        start -= round(self._stray)
        if start - expected > min(JITTER_SAMPLES, count * 3 // 4):
            return start
        if not self._continuous:
            return cursor
        if expected - start > JITTER_SAMPLES:
            return start
        return cursor if cursor - expected <= LATE_SAMPLES else expected


Track = SoundTrack | PictureTrack | MotionTrack


def missing(tracks: Sequence[Track], first: int, last: int) -> list[Track]:
    """The live `tracks` that have not come up to frame `last`; `first` begins the block."""
    return [track for track in tracks if track.live(first) and not track.has(last)]
