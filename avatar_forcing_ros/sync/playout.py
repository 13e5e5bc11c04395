"""When to show and to play what comes: picture and sound on one offset, media time to local time.

The offset is the largest delay of the first moments plus a margin. It grows when things come
later than planned and shrinks slowly when there was spare for long. Sound is never cut: a larger
offset puts silence in, between words where a pause comes soon enough; a smaller one takes out
samples of a pause. Picture and sound change over together.
"""

from __future__ import annotations

import bisect
from collections import deque

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.sync.audio_buffers import SoundQueue
from avatar_forcing_ros.sync.drift import SpeakerClock
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE_HZ
DEFAULT_DELAY_MS = 120
_MS = 1_000_000
_JUMP_NS = 2_000 * _MS  # stamps that far off belong to another conversation
_BACKWARDS_NS = 500 * _MS  # within one stream; less is disorder on the way
_HEADROOM_NS = 20 * _MS  # how much more than needed the offset grows, at least
_PATIENCE_NS = 500 * _MS  # how long growing waits for a pause between words
_WINDOW_NS = 5_000 * _MS  # over which spare time is looked at
_SPARE_NS = 10 * _MS
_SHRINK_NS = (20 * _MS, 100 * _MS)  # least and most in one window
_SILENT_NS = 1_000 * _MS  # after which a stream of sound counts as ended
_PAUSE_SAMPLES = SAMPLE_RATE_HZ // 200  # 5 ms without sound are a place to mend
_LOOK_SAMPLES = SAMPLE_RATE_HZ // 5
_MOST_FRAMES = 150
_RECENT_FRAMES = 50
_LATE_OF_RECENT = 5  # so many late frames are more than an accident


class Playout:
    """The synchroniser. Times are nanoseconds: stamps of media time, all others of local time."""

    def __init__(self, delay_ms: float = DEFAULT_DELAY_MS) -> None:
        self._margin_ns = _whole_samples(delay_ms * _MS)
        self.shown_frames = 0
        self.skipped_frames = 0
        self.late_frames = 0
        self.rebuffers = 0
        self.resets = 0
        self.missing_samples = 0
        self.dropped_samples = 0
        self._picture_late_ns = 0.0
        self._clock = SpeakerClock()
        self._forget()

    def _forget(self) -> None:
        self._offset_ns: int | None = None
        self._wanted_ns = 0  # what the offset becomes at the next good moment
        self._wanted_since_ns = 0
        self._started = False
        self._stamps: list[int] = []
        self._frames: list[VideoFrame] = []
        self._newest_frame_ns: int | None = None
        self._shown_ns: int | None = None
        self._lateness: deque[int] = deque(maxlen=_RECENT_FRAMES)
        self._window: tuple[int, int] | None = None  # when it began, least spare so far
        self._sound = SoundQueue()
        self._cursor: int | None = None  # the next sample to play; None: not playing
        self._pause = 0  # samples of silence to play before it
        self._dry = 0  # samples of silence played since the newest sound ended
        self._pulled_ns: int | None = None
        self._clock.restart()

    @property
    def offset_ns(self) -> int | None:
        """Local time minus media time; None before the first arrival."""
        return self._offset_ns

    @property
    def next_frame_ns(self) -> int | None:
        """When the next frame is due; None where none waits."""
        if self._offset_ns is None or not self._stamps:
            return None
        return self._stamps[0] + self._offset_ns

    @property
    def sound_is_playing(self) -> bool:
        """Whether `sound_for` has sound of a stream that has not ended."""
        return self._cursor is not None

    @property
    def av_offset_ms(self) -> float:
        """How much later the picture is than its sound, smoothed; without sound: than planned."""
        sound_late_ns = self._clock.behind_samples * SAMPLE_NS if self.sound_is_playing else 0.0
        return (self._picture_late_ns - sound_late_ns) / _MS

    def reset(self) -> None:
        """Forget everything but the counts; the next arrival sets the offset anew."""
        self._forget()

    def set_delay_ms(self, delay_ms: float) -> None:
        """Another margin: the offset follows as it does when it grows or shrinks by itself."""
        margin_ns = _whole_samples(delay_ms * _MS)
        change_ns, self._margin_ns = margin_ns - self._margin_ns, margin_ns
        if self._offset_ns is not None:
            self._wanted_ns += change_ns
            self._window = None
            if not self._started:
                self._offset_ns = self._wanted_ns

    def push_frame(self, stamp_ns: int, pixels: NDArray[np.uint8], arrival_ns: int) -> None:
        """A frame has come at `arrival_ns`; one not newer than what was shown is skipped."""
        newest_ns = self._newest_frame_ns
        if newest_ns is not None and stamp_ns < newest_ns - _BACKWARDS_NS:
            self._jump()
        spare_ns = self._plan(stamp_ns, arrival_ns)
        if self._shown_ns is not None and stamp_ns <= self._shown_ns:
            self.skipped_frames += 1
            return
        self._lateness.append(max(0, -spare_ns))
        if spare_ns < 0:
            self.late_frames += 1
            if sum(late_ns > 0 for late_ns in self._lateness) >= _LATE_OF_RECENT:
                self._grow(max(self._lateness), arrival_ns)
                self._lateness.clear()
        self._newest_frame_ns = max(stamp_ns, self._newest_frame_ns or stamp_ns)
        at = bisect.bisect_left(self._stamps, stamp_ns)
        if self._stamps[at : at + 1] == [stamp_ns]:
            self._frames[at] = VideoFrame(pixels, stamp_ns)
            self.skipped_frames += 1
            return
        self._stamps.insert(at, stamp_ns)
        self._frames.insert(at, VideoFrame(pixels, stamp_ns))
        if len(self._stamps) > _MOST_FRAMES:
            self._take_frames(1)
            self.skipped_frames += 1

    def push_sound(self, stamp_ns: int, samples: NDArray[np.float32], arrival_ns: int) -> None:
        """Sound ``[n]``, 16 kHz, has come.

        `arrival_ns` is the first local time at which it could be heard: that of its arrival, plus
        what the speaker's buffers hold. What was known already is dropped; samples that are not
        finite become silence.
        """
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        start = round(stamp_ns / SAMPLE_NS)
        end = self._sound.end
        if end is not None and start < end - _BACKWARDS_NS // SAMPLE_NS:
            self._jump()
        start = self._sound.place(start)
        if self._sound.end is not None and start + len(samples) <= self._sound.end:
            self.dropped_samples += len(samples)
            return
        spare_ns = self._plan(stamp_ns, arrival_ns)
        if self._cursor is not None or spare_ns < 0:
            self.missing_samples += self._dry
        self._dry = 0
        if self._cursor is None:
            if spare_ns < 0:
                self._grow(-spare_ns, arrival_ns)
            assert self._offset_ns is not None  # _plan has set it
            self._sound.forget((arrival_ns - self._offset_ns) // SAMPLE_NS - SAMPLE_RATE_HZ)
        elif max(start, self._sound.end or start) < self._cursor:
            self._resume(max(start, self._sound.end or start), arrival_ns)
        self.dropped_samples += self._sound.push(start, samples)

    def frame_at(self, now_ns: int) -> VideoFrame | None:
        """The newest frame that is due, once; None while the picture stays as it is."""
        if self._offset_ns is None:
            return None
        if self._pulled_ns is not None and now_ns - self._pulled_ns > _SILENT_NS:
            self._cursor = None  # the speaker has stopped asking
        if self._cursor is None:
            self._offset_ns = self._wanted_ns
        due = bisect.bisect_right(self._stamps, now_ns - self._offset_ns)
        if not due:
            return None
        frame = self._take_frames(due)
        self.skipped_frames += due - 1
        self.shown_frames += 1
        self._started = True
        self._shown_ns = frame.stamp_ns
        late_ns = now_ns - frame.stamp_ns - self._offset_ns
        self._picture_late_ns += (late_ns - self._picture_late_ns) / 25
        return frame

    def sound_for(self, now_ns: int, count: int) -> NDArray[np.float32]:
        """The sound ``[count]`` of which the first sample is heard at `now_ns`."""
        self._pulled_ns = now_ns
        if self._cursor is None and not self._begin(now_ns, count):
            return self._clock.soften(np.zeros(count, np.float32), np.zeros(count, np.bool_))
        assert self._cursor is not None
        assert self._offset_ns is not None
        due = (now_ns - self._offset_ns) // SAMPLE_NS
        self._clock.observe(due - self._cursor + self._pause, count)
        self._settle(now_ns)
        silent = min(self._pause, count)
        self._pause -= silent
        heard, there = self._take_sound(count - silent)
        gap = np.zeros(silent, np.float32)
        played = self._clock.soften(
            np.concatenate((gap, heard)), np.concatenate((gap.astype(np.bool_), there))
        )
        self._sound.forget(self._cursor)
        if self._cursor > (self._sound.end or 0) + _SILENT_NS // SAMPLE_NS:
            self._cursor, self._pause = None, 0
        return played

    def _take_frames(self, count: int) -> VideoFrame:
        frame = self._frames[count - 1]
        del self._stamps[:count], self._frames[:count]
        return frame

    def _take_sound(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """From the cursor on, at the speaker's pace; what is missing is counted."""
        assert self._cursor is not None
        taken = count + self._clock.slip(count)
        samples, there = self._sound.read(self._cursor, taken)
        if taken != count and not there.all():
            taken = count
            samples, there = self._sound.read(self._cursor, taken)
        self._cursor += taken
        dry = min(taken, max(0, self._cursor - (self._sound.end or 0)))
        self._dry += dry  # missing, should the stream go on; else it has just ended
        self.missing_samples += int(taken - np.count_nonzero(there)) - dry
        if taken == count:
            return samples, there
        self._clock.corrected(taken - count)
        at = np.arange(count) * (taken / count)
        stretched = np.interp(at, np.arange(taken), samples).astype(np.float32)
        return stretched, np.ones(count, np.bool_)

    def _begin(self, now_ns: int, count: int) -> bool:
        """Start to play, if sound is due within the next `count` samples."""
        begin = self._sound.begin
        if self._offset_ns is None or begin is None:
            return False
        self._offset_ns = self._wanted_ns
        due = (now_ns - self._offset_ns) // SAMPLE_NS
        if due + count <= begin:
            return False
        self._cursor, self._pause = max(due, begin), max(0, begin - due)
        self._started = True
        self._clock.restart()
        return True

    def _settle(self, now_ns: int) -> None:
        """Change the offset, and mend what the speaker's clock has strayed, where it is quiet."""
        assert self._cursor is not None
        assert self._offset_ns is not None
        change = (self._wanted_ns - self._offset_ns) // SAMPLE_NS
        behind = self._clock.excess
        if not change and not behind:
            return
        dry = self._cursor >= (self._sound.end or 0)
        quiet = self._sound.quiet_samples(self._cursor, _LOOK_SAMPLES)
        pausing = dry or self._pause > 0 or quiet >= _PAUSE_SAMPLES
        spare = max(0, quiet - _PAUSE_SAMPLES)
        if change > 0 and (pausing or now_ns - self._wanted_since_ns > _PATIENCE_NS):
            self._offset_ns = self._wanted_ns
            self._pause += change
        elif change < 0:
            removed = min(-change, spare)
            self._offset_ns -= removed * SAMPLE_NS
            self._cursor += removed
            spare -= removed
        if behind < 0 and (pausing or self._clock.is_far):
            self._pause -= behind
            self._clock.corrected(behind)
        elif behind > 0 and self._clock.is_far and not spare:
            # the speaker was held up in a word: rather let the picture wait than cut the word
            self._offset_ns += behind * SAMPLE_NS
            self._wanted_ns += behind * SAMPLE_NS
            self.rebuffers += 1
            self._clock.corrected(behind)
        elif behind > 0:
            removed = min(behind, spare)
            self._cursor += removed
            self._clock.corrected(removed)

    def _plan(self, stamp_ns: int, arrival_ns: int) -> int:
        """How long before its time something came; sets the offset in the first moments."""
        if self._offset_ns is not None:
            planned_ns = max(self._offset_ns, self._wanted_ns)
            spare_ns = stamp_ns + planned_ns - arrival_ns
            if -_JUMP_NS <= spare_ns <= self._margin_ns + _JUMP_NS:
                if not self._started:
                    more_ns = max(0, _whole_samples(self._margin_ns - spare_ns))
                    self._offset_ns += more_ns
                    self._wanted_ns = self._offset_ns
                    return spare_ns + more_ns
                self._watch(stamp_ns + self._wanted_ns - arrival_ns, arrival_ns)
                return spare_ns
            self._jump()
        self._offset_ns = _whole_samples(arrival_ns - stamp_ns + self._margin_ns)
        self._wanted_ns = self._offset_ns
        return self._margin_ns

    def _jump(self) -> None:
        self.skipped_frames += len(self._frames)
        self.resets += 1
        self._forget()

    def _watch(self, spare_ns: int, arrival_ns: int) -> None:
        """Shrink a little where everything of a whole window came early."""
        assert self._offset_ns is not None
        if self._wanted_ns < self._offset_ns and spare_ns < self._margin_ns:
            self._wanted_ns = self._offset_ns  # it was needed after all
        if self._window is None:
            self._window = arrival_ns, spare_ns
        began_ns, least_ns = self._window
        least_ns = min(least_ns, spare_ns)
        self._window = began_ns, least_ns
        if arrival_ns - began_ns < _WINDOW_NS:
            return
        self._window = None
        extra_ns = least_ns - self._margin_ns
        if extra_ns > _SPARE_NS and self._wanted_ns == self._offset_ns:
            step_ns = min(max(extra_ns // 4, _SHRINK_NS[0]), _SHRINK_NS[1], extra_ns)
            self._wanted_ns -= step_ns // SAMPLE_NS * SAMPLE_NS

    def _grow(self, late_ns: int, arrival_ns: int) -> None:
        """Plan for `late_ns` more than now, and some; takes effect at the next good moment."""
        assert self._offset_ns is not None
        more_ns = _whole_samples(late_ns + max(_HEADROOM_NS, self._margin_ns // 4))
        self._wanted_ns = max(self._offset_ns, self._wanted_ns) + more_ns
        self._wanted_since_ns = arrival_ns
        self._window = None
        self.rebuffers += 1

    def _resume(self, start: int, arrival_ns: int) -> None:
        """Sound came after silence was played in its place: go back, so that nothing is lost."""
        assert self._offset_ns is not None
        assert self._cursor is not None
        rewound = self._cursor - start
        planned = (max(self._offset_ns, self._wanted_ns) - self._offset_ns) // SAMPLE_NS
        if planned < rewound:
            self._grow((rewound - planned) * SAMPLE_NS, arrival_ns)
        self._pause += (self._wanted_ns - self._offset_ns) // SAMPLE_NS - rewound
        self._offset_ns = self._wanted_ns
        self._cursor = start


def _whole_samples(span_ns: float) -> int:
    """The span, rounded up to whole samples."""
    return -int(-span_ns // SAMPLE_NS) * SAMPLE_NS
