"""Stamped audio to a gapless track. Media time alone decides; nothing here reads a clock.

A track begins at media time zero. Each chunk is placed at its stamp when it is taken, so the order
of arrival does not matter. What comes late, twice or not at all is counted, never guessed: missing
audio is silence, a missing image (`image_track`) leaves the last one. An input that nobody sends
loses nothing; one that has sent something within the last second is live and expected to go on.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from avatar_forcing_ros.media import AudioChunk, check_values
from avatar_forcing_ros.sync.audio_buffers import SILENCE, Samples, fitted, sanitized, stretched
from avatar_forcing_ros.sync.clock_mapping import Drift
from avatar_forcing_ros.sync.image_track import ImageTrack, MotionTrack
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_to_samples

MAX_GAP_SAMPLES = 60 * SAMPLE_RATE_HZ
JITTER_SAMPLES = SAMPLE_RATE_HZ // 50  # stamps within 20 ms of the expected one join on
LATE_SAMPLES = SAMPLE_RATE_HZ // 100  # of a microphone, that push it back instead of being lost
LIVE_SAMPLES = SAMPLE_RATE_HZ
PAUSE_SAMPLES = SAMPLE_RATE_HZ // 5  # a longer hole in speech is a pause, not a loss
QUEUED_SAMPLES = SAMPLE_RATE_HZ // 2  # speech further ahead than this was sent ahead of its time
# a microphone's clock drifts against the avatar's: a sample in 20 ms at most corrects for it
MAX_DRIFT_SAMPLES = SAMPLE_RATE_HZ // 500  # 2 ms; less does no harm
SLIP_INTERVAL_SAMPLES = SAMPLE_RATE_HZ // 50
MIN_STRETCHED_SAMPLES = SAMPLE_RATE_HZ // 250  # a shorter chunk is not stretched


def max_late(length: int, tolerance: int) -> int:
    """How late a chunk of `length` may be stamped and still follow the one before; in one unit.

    Stamps jitter, but by less than a chunk: else one that was lost would go unnoticed.
    """
    return min(tolerance, length * 3 // 4)


class AudioTrack:
    """One audio stream, 16 kHz mono, taken frame by frame.

    A microphone is `continuous`: it is expected to go on, and what it sends twice is dropped.
    Speech is not: it comes in utterances, may come faster than real time, and then waits for its
    turn. That much waits tells that live; in a replay (`lossless`) it may only be late.
    """

    def __init__(self, *, continuous: bool = True, lossless: bool = False) -> None:
        self._continuous = continuous
        self.lossless = lossless
        self._placed = [SILENCE]  # from `_taken` up to `_cursor`, without holes
        self._taken = 0  # samples handed out so far
        self._cursor = 0  # where the next audio is expected
        self._audio_end = 0  # just after the newest audio that was placed
        self._pending: list[tuple[int, Samples]] = []  # by start, not placed yet
        # kept up to date here: speech may come in thousands of pieces at once
        self._pending_samples = self._pending_end = 0
        self._stamped_end = 0  # of the newest audio that was placed, by its stamp
        self._sent_ahead = False  # the newest speech came faster than it is spoken
        self.drift = Drift()  # how much later than placed a microphone's audio is stamped
        self._slip = 0  # samples added to each chunk of the next `take`
        self.filled_samples = 0
        self.dropped_samples = 0
        self.sanitized_samples = 0

    @property
    def end_sample(self) -> int:
        """Position just after the newest audio, placed or waiting."""
        return max(self._cursor if self._audio_end else 0, self._pending_end)

    @property
    def waiting_samples(self) -> int:
        """Audio that has come and is not taken yet."""
        return self._cursor - self._taken + self._pending_samples

    @property
    def started(self) -> bool:
        """Whether any audio has come at all."""
        return bool(self._audio_end or self._pending)

    def has(self, frame: int) -> bool:
        """Whether audio up to the end of `frame` has come without a gap.

        Of live speech that came faster than it is spoken all has come: what is not there is not
        made yet, or there is no more.
        """
        if self._sent_ahead and not self.lossless:
            return True
        end, expected, needed = self._cursor, self._expected, frames_to_samples(frame + 1)
        for start, samples in self._pending:
            place = self._place(start, len(samples), expected, end)
            if end >= needed or place > end:
                break
            expected = place + len(samples) + self._slip_of(len(samples))
            end = max(end, expected)
        return end >= needed

    def live(self, frame: int) -> bool:
        """Whether audio of `frame` or later can be expected."""
        reach = LIVE_SAMPLES if self._continuous else PAUSE_SAMPLES
        newest = max(self._audio_end, self._pending_end)
        return newest > max(0, frames_to_samples(frame) - reach)

    def push(self, chunk: AudioChunk) -> None:
        """Add `chunk` at its stamp. Samples that are not finite become silence.

        Raises ValueError for another rate than 16 kHz, for a stamp that leaves a gap of more
        than a minute and for samples far beyond -1…1.
        """
        if chunk.rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"expected {SAMPLE_RATE_HZ} Hz, got {chunk.rate_hz} Hz")
        samples, not_finite = sanitized(np.asarray(chunk.samples, np.float32))
        check_values("audio", samples)
        self.sanitized_samples += not_finite
        start = round(chunk.stamp_ns * SAMPLE_RATE_HZ / 1e9)
        gap = start - max(self.end_sample, self._taken)
        if gap > MAX_GAP_SAMPLES:
            raise ValueError(f"audio stamped {gap / SAMPLE_RATE_HZ:.0f} s after what came")
        if len(samples):
            bisect.insort(self._pending, (start, samples), key=lambda waiting: waiting[0])
            self._pending_samples += len(samples)
            self._pending_end = max(self._pending_end, start + len(samples))
            self._sent_ahead = not self._continuous and self.waiting_samples > QUEUED_SAMPLES

    def take(self, frames: int) -> Samples:
        """The next `frames` of audio ``[640 frames]``; silence where none has come."""
        live = self.live(self._taken // SAMPLES_PER_FRAME)
        count = frames_to_samples(frames)
        placed = self._place_before(self._taken + count)
        if live and self._continuous:
            self.filled_samples += max(0, count - len(placed))
        self._advance(count, placed)
        return fitted(placed, count)

    def skip(self, frames: int) -> None:
        """Give up the next `frames`; what audio there was in them is counted as dropped.

        Speech that was sent ahead of its time is spoken later instead: it would lose words.
        Speech that comes in real time would be late for good. However many frames those are, it
        costs no more than the audio that waits.
        """
        count = frames_to_samples(frames)
        if not self._continuous and self._is_queued(self._taken + count):
            self._taken, self._cursor = self._taken + count, self._cursor + count
            self._audio_end += count if self._audio_end else 0
            return
        filled = self.filled_samples
        placed = self._place_before(self._taken + count)
        self.filled_samples = filled
        self.dropped_samples += int(np.count_nonzero(placed[:count]))
        self._advance(count, placed)

    def clear(self) -> int:
        """Drop all audio that has not been taken; how many samples that were."""
        dropped = self.waiting_samples
        self.dropped_samples += dropped
        self._placed, self._pending = [SILENCE], []
        self._pending_samples = self._pending_end = self._stamped_end = 0
        self._cursor = self._taken
        self._audio_end = 0  # nobody waits for the rest of it
        self._sent_ahead = False
        self.drift, self._slip = Drift(), 0
        return dropped

    def _is_queued(self, end: int) -> bool:
        """Whether more speech waits than what belongs before `end`, or before now."""
        queued_until = self._cursor + self._pending_samples
        stamped_until = max(self._stamped_end, self._pending_end)
        ahead = queued_until - min(end, stamped_until)
        return self.waiting_samples > 0 and ahead > QUEUED_SAMPLES

    def _advance(self, count: int, placed: Samples) -> None:
        """The next `count` samples, of which `placed` is known, are handed out or given up."""
        self._placed = [placed[count:]]
        self._taken += count
        self._cursor = max(self._cursor, self._taken)
        drift = self.drift.samples
        self._slip = int(np.sign(drift)) if abs(drift) > MAX_DRIFT_SAMPLES else 0

    def _place_before(self, end: int) -> Samples:
        """Place what begins before `end`, by its stamp or where it joins on; all placed audio."""
        while self._pending:
            start, samples = self._pending[0]
            place = self._place(start, len(samples), self._expected, self._cursor)
            if min(start, place) >= end:
                break
            del self._pending[0]
            self._pending_samples -= len(samples)
            self._stamped_end = max(self._stamped_end, start + len(samples))
            self._append(samples, place, start - place)
        self._pending_end = max((at + len(samples) for at, samples in self._pending), default=0)
        return np.concatenate(self._placed) if len(self._placed) > 1 else self._placed[0]

    def _append(self, samples: Samples, place: int, late: int) -> None:
        """Put `samples`, stamped `late` samples after `place`, there; after silence for a gap."""
        if place < self._cursor:
            over = min(len(samples), self._cursor - place)
            self.dropped_samples += over
            samples, place = samples[over:], place + over
        elif self._continuous and place == self._cursor and self._audio_end:
            samples = self._drift_corrected(samples, late)
        if not len(samples):
            return
        gap = place - self._cursor
        if self._continuous:
            self.filled_samples += gap if self._audio_end else 0
        elif place - self._audio_end <= PAUSE_SAMPLES:  # within an utterance
            self.filled_samples += place - self._audio_end
        self._placed += [np.zeros(gap, np.float32), samples]
        self._cursor = self._audio_end = place + len(samples)

    def _drift_corrected(self, samples: Samples, late: int) -> Samples:
        """Audio that joins on although it is stamped `late` samples after that place.

        Where stamps keep drifting to one side it is stretched a little: two clocks differ.
        """
        slip = self._slip_of(len(samples))
        self.drift.observe(late, len(samples))
        if not slip:
            return samples
        self.drift.corrected(slip)
        return stretched(samples, len(samples) + slip)

    def _slip_of(self, count: int) -> int:
        """How many samples are added to a chunk of `count`, until the next `take`."""
        slips = max(1, count // SLIP_INTERVAL_SAMPLES)
        return self._slip * slips if count >= MIN_STRETCHED_SAMPLES else 0

    @property
    def _expected(self) -> int:
        """Where the next audio would join on; before the cursor if silence took its place."""
        return self._audio_end if self._continuous and self._audio_end else self._cursor

    def _place(self, start: int, count: int, expected: int, cursor: int) -> int:
        """Where `count` samples stamped `start` belong when nothing is placed from `cursor` on.

        Stamps jitter, and drift away from what was placed: what counts is how far they are from
        where they are by now. What comes a little too late is played a little later, what is far
        too late is dropped.
        """
        start -= round(self.drift.samples)
        if start - expected > max_late(count, JITTER_SAMPLES):
            return start
        if not self._continuous:
            return cursor
        if expected - start > JITTER_SAMPLES:
            return start
        return cursor if cursor - expected <= LATE_SAMPLES else expected


Track = AudioTrack | ImageTrack | MotionTrack


def missing(tracks: Sequence[Track], first: int, last: int) -> list[Track]:
    """The live `tracks` that have not come up to frame `last`; `first` begins the block."""
    return [track for track in tracks if track.live(first) and not track.has(last)]
