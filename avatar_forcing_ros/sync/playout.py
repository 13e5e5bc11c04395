"""When to show and to play what comes: image and audio on one offset, media time to local time.

The offset is the largest delay of the first moments plus a margin. It grows when things come
later than planned and shrinks slowly when there was spare for long. Audio is never cut: a larger
offset puts silence in, between words where a pause comes soon enough; a smaller one takes out
samples of a pause. Image and audio change over together.
"""

from __future__ import annotations

import bisect
from collections import deque

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.sync.audio_buffers import (
    AudioQueue,
    EdgeFader,
    Samples,
    sanitized,
    stretched,
)
from avatar_forcing_ros.sync.clock_mapping import JUMP_NS, SpeakerDrift
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE_HZ
DEFAULT_DELAY_MS = 120
_MS = 1_000_000
_DISORDER_NS = 500 * _MS  # stamps of one stream that go back by more begin a new conversation
_HEADROOM_NS = 20 * _MS  # how much more than needed the offset grows, at least
_PATIENCE_NS = 500 * _MS  # how long growing waits for a pause between words
_WINDOW_NS = 5_000 * _MS  # over which spare time is measured
_SPARE_NS = 10 * _MS
_SHRINK_NS = (20 * _MS, 100 * _MS)  # least and most in one window
_SILENT_NS = 1_000 * _MS  # after which a stream of audio counts as ended
_PAUSE_SAMPLES = SAMPLE_RATE_HZ // 200  # 5 ms of quiet are a place for corrections
_PAUSE_SEARCH_SAMPLES = SAMPLE_RATE_HZ // 5
_MAX_FRAMES = 150
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
        self._image_late_ns = 0.0
        self._fader = EdgeFader()
        self.reset()

    def reset(self) -> None:
        """Forget everything but the counts; the next arrival sets the offset anew."""
        self._has_offset = False
        self._offset_ns = 0
        self._wanted_ns = 0  # what the offset becomes at the next good moment
        self._wanted_since_ns = 0
        self._started = False
        self._frames: list[VideoFrame] = []  # in order of stamps
        self._newest_frame_ns: int | None = None
        self._shown_ns: int | None = None
        self._lateness: deque[int] = deque(maxlen=_RECENT_FRAMES)
        self._window: tuple[int, int] | None = None  # when it began, least spare so far
        self._audio = AudioQueue()
        self._playing = False
        self._cursor = 0  # the next sample to play
        self._pause = 0  # samples of silence to play before it
        self._dry = 0  # samples of silence played since the newest audio ended
        self._pulled_ns: int | None = None
        self._drift = SpeakerDrift()

    @property
    def offset_ns(self) -> int | None:
        """Local time minus media time; None before the first arrival."""
        return self._offset_ns if self._has_offset else None

    @property
    def next_frame_ns(self) -> int | None:
        """When the next frame is due; None where none waits."""
        return self._frames[0].stamp_ns + self._offset_ns if self._frames else None

    @property
    def waiting_frames(self) -> int:
        """Frames that have come and are not shown yet."""
        return len(self._frames)

    @property
    def waiting_samples(self) -> int:
        """Audio that has come and is kept."""
        return self._audio.waiting_samples

    @property
    def audio_position(self) -> int | None:
        """Place of what is played next, in samples since media time zero; None: no audio is."""
        return self._cursor - self._pause if self._playing else None

    @property
    def av_offset_ms(self) -> float:
        """How much later the image is than its audio, smoothed; without audio: than planned."""
        audio_late_ns = self._drift.samples * SAMPLE_NS if self._playing else 0.0
        return (self._image_late_ns - audio_late_ns) / _MS

    def set_delay_ms(self, delay_ms: float) -> None:
        """Another margin: the offset follows as it does when it grows or shrinks by itself."""
        margin_ns = _whole_samples(delay_ms * _MS)
        change_ns, self._margin_ns = margin_ns - self._margin_ns, margin_ns
        if self._has_offset:
            self._wanted_ns += change_ns
            self._window = None
            if not self._started:
                self._offset_ns = self._wanted_ns

    def push_frame(self, stamp_ns: int, pixels: NDArray[np.uint8], arrival_ns: int) -> None:
        """A frame has come at `arrival_ns`; one not newer than what was shown is skipped."""
        newest_ns = self._newest_frame_ns
        if newest_ns is not None and stamp_ns < newest_ns - _DISORDER_NS:
            self._begin_anew()
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
        at = bisect.bisect_left(self._frames, stamp_ns, key=_stamp_ns)
        known = at < len(self._frames) and self._frames[at].stamp_ns == stamp_ns
        self._frames[at : at + known] = [VideoFrame(pixels, stamp_ns)]
        too_many = len(self._frames) > _MAX_FRAMES
        del self._frames[:too_many]
        self.skipped_frames += known + too_many

    def push_audio(self, stamp_ns: int, samples: Samples, arrival_ns: int) -> None:
        """Audio ``[n]``, 16 kHz, has come.

        `arrival_ns` is the first local time at which it could be played: that of its arrival, plus
        what the speaker's buffers hold. What was known already is dropped; samples that are not
        finite become silence.
        """
        samples, _ = sanitized(samples)
        start = round(stamp_ns / SAMPLE_NS)
        if start < self._audio.end - _DISORDER_NS // SAMPLE_NS:
            self._begin_anew()
        start = self._audio.place(start)
        if start + len(samples) <= self._audio.end:
            self.dropped_samples += len(samples)
            return
        spare_ns = self._plan(stamp_ns, arrival_ns)
        if self._playing or spare_ns < 0:
            self.missing_samples += self._dry
        self._dry = 0
        fresh = max(start, self._audio.end)
        if not self._playing:
            if spare_ns < 0:
                self._grow(-spare_ns, arrival_ns)
            self._audio.forget((arrival_ns - self._offset_ns) // SAMPLE_NS - SAMPLE_RATE_HZ)
        elif fresh < self._cursor:
            self._resume(fresh, arrival_ns)
        self.dropped_samples += self._audio.push(start, samples)

    def frame_at(self, now_ns: int) -> VideoFrame | None:
        """The newest frame that is due, once; None while the image stays as it is."""
        if self._pulled_ns is not None and now_ns - self._pulled_ns > _SILENT_NS:
            self._playing = False  # the speaker has stopped asking
        if not self._playing:
            self._offset_ns = self._wanted_ns
        due = bisect.bisect_right(self._frames, now_ns - self._offset_ns, key=_stamp_ns)
        if not due:
            return None
        frame = self._frames[due - 1]
        del self._frames[:due]
        self.skipped_frames += due - 1
        self.shown_frames += 1
        self._started = True
        self._shown_ns = frame.stamp_ns
        late_ns = now_ns - frame.stamp_ns - self._offset_ns
        self._image_late_ns += (late_ns - self._image_late_ns) / 25
        return frame

    def audio_for(self, now_ns: int, count: int) -> Samples:
        """The audio ``[count]`` of which the first sample is played at `now_ns`."""
        self._pulled_ns = now_ns
        if not self._playing and not self._begin_audio(now_ns, count):
            return self._fader.fade(np.zeros(count, np.float32), np.zeros(count, np.bool_))
        due = (now_ns - self._offset_ns) // SAMPLE_NS
        self._drift.observe(due - self._cursor + self._pause, count)
        self._adjust(now_ns)
        silent = min(self._pause, count)
        self._pause -= silent
        samples, present = self._read(count - silent)
        played = self._fader.fade(np.pad(samples, (silent, 0)), np.pad(present, (silent, 0)))
        self._audio.forget(self._cursor)
        if self._cursor > self._audio.end + _SILENT_NS // SAMPLE_NS:
            self._playing, self._pause = False, 0
        return played

    def _read(self, count: int) -> tuple[Samples, NDArray[np.bool_]]:
        """From the cursor on, at the speaker's pace; what is missing is counted."""
        taken = count + self._drift.slip(count)
        samples, present = self._audio.read(self._cursor, taken)
        if taken != count and not present.all():
            taken = count
            samples, present = self._audio.read(self._cursor, taken)
        self._cursor += taken
        dry = min(taken, max(0, self._cursor - self._audio.end))
        self._dry += dry  # missing, should the stream go on; else it has just ended
        self.missing_samples += int(taken - np.count_nonzero(present)) - dry
        if taken == count:
            return samples, present
        self._drift.corrected(taken - count)
        return stretched(samples, count), np.ones(count, np.bool_)

    def _begin_audio(self, now_ns: int, count: int) -> bool:
        """Start to play, if audio is due within the next `count` samples."""
        begin = self._audio.begin
        if begin is None:
            return False
        self._offset_ns = self._wanted_ns
        due = (now_ns - self._offset_ns) // SAMPLE_NS
        if due + count <= begin:
            return False
        self._cursor, self._pause = max(due, begin), max(0, begin - due)
        self._playing = self._started = True
        self._drift = SpeakerDrift()
        return True

    def _adjust(self, now_ns: int) -> None:
        """Change the offset, and correct the speaker's drift, where it is quiet."""
        change = (self._wanted_ns - self._offset_ns) // SAMPLE_NS
        behind = self._drift.excess
        if not change and not behind:
            return
        quiet = self._audio.quiet_samples(self._cursor, _PAUSE_SEARCH_SAMPLES)
        dry = self._cursor >= self._audio.end
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
        if behind < 0 and (pausing or self._drift.is_far):
            self._pause -= behind
            self._drift.corrected(behind)
        elif behind > 0 and self._drift.is_far and not spare:
            # the speaker was held up in a word: rather let the image wait than cut the word
            self._offset_ns += behind * SAMPLE_NS
            self._wanted_ns += behind * SAMPLE_NS
            self.rebuffers += 1
            self._drift.corrected(behind)
        elif behind > 0:
            removed = min(behind, spare)
            self._cursor += removed
            self._drift.corrected(removed)

    def _plan(self, stamp_ns: int, arrival_ns: int) -> int:
        """How long before its time something came; sets the offset in the first moments."""
        if self._has_offset:
            planned_ns = max(self._offset_ns, self._wanted_ns)
            spare_ns = stamp_ns + planned_ns - arrival_ns
            if -JUMP_NS <= spare_ns <= self._margin_ns + JUMP_NS:
                if not self._started:
                    more_ns = max(0, _whole_samples(self._margin_ns - spare_ns))
                    self._offset_ns = self._wanted_ns = self._offset_ns + more_ns
                    return spare_ns + more_ns
                self._shrink(stamp_ns + self._wanted_ns - arrival_ns, arrival_ns)
                return spare_ns
            self._begin_anew()
        self._has_offset = True
        self._offset_ns = _whole_samples(arrival_ns - stamp_ns + self._margin_ns)
        self._wanted_ns = self._offset_ns
        return self._margin_ns

    def _begin_anew(self) -> None:
        """Another conversation, with stamps of its own, begins."""
        self.skipped_frames += len(self._frames)
        self.resets += 1
        self.reset()

    def _shrink(self, spare_ns: int, arrival_ns: int) -> None:
        """Plan for a little less where everything of a whole window came early."""
        if self._wanted_ns < self._offset_ns and spare_ns < self._margin_ns:
            self._wanted_ns = self._offset_ns  # it was needed after all
        began_ns, min_ns = self._window or (arrival_ns, spare_ns)
        min_ns = min(min_ns, spare_ns)
        ended = arrival_ns - began_ns >= _WINDOW_NS
        self._window = None if ended else (began_ns, min_ns)
        extra_ns = min_ns - self._margin_ns
        if ended and extra_ns > _SPARE_NS and self._wanted_ns == self._offset_ns:
            step_ns = min(max(extra_ns // 4, _SHRINK_NS[0]), _SHRINK_NS[1], extra_ns)
            self._wanted_ns -= step_ns // SAMPLE_NS * SAMPLE_NS

    def _grow(self, late_ns: int, arrival_ns: int) -> None:
        """Plan for `late_ns` more than now, and some; takes effect at the next good moment."""
        more_ns = _whole_samples(late_ns + max(_HEADROOM_NS, self._margin_ns // 4))
        self._wanted_ns = max(self._offset_ns, self._wanted_ns) + more_ns
        self._wanted_since_ns = arrival_ns
        self._window = None
        self.rebuffers += 1

    def _resume(self, start: int, arrival_ns: int) -> None:
        """Audio came after silence was played in its place: go back, so that nothing is lost."""
        rewound = self._cursor - start
        planned = max(0, self._wanted_ns - self._offset_ns) // SAMPLE_NS
        if planned < rewound:
            self._grow((rewound - planned) * SAMPLE_NS, arrival_ns)
        self._pause += (self._wanted_ns - self._offset_ns) // SAMPLE_NS - rewound
        self._offset_ns = self._wanted_ns
        self._cursor = start


def _stamp_ns(frame: VideoFrame) -> int:
    return frame.stamp_ns


def _whole_samples(span_ns: float) -> int:
    """The span, rounded up to whole samples."""
    return -int(-span_ns // SAMPLE_NS) * SAMPLE_NS
