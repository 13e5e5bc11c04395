"""One topic's audio as 16 kHz mono without gaps, stamped by counting samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import soxr

from avatar_forcing_ros.downmix import Downmix
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.nodes.convert_audio import AudioFormat, Samples, format_of, samples
from avatar_forcing_ros.sync.audio_buffers import sanitized
from avatar_forcing_ros.sync.timeline import max_late
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

TOLERANCE_NS = 20_000_000
# of times of arrival, which jitter as the network does, and by whole messages where some are sent
# at once
ARRIVAL_TOLERANCE_NS = 200_000_000
MESSAGES_AT_ONCE = 4
_SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE_HZ  # 62,500, without a remainder


class AudioInput:
    """Resamples and stamps what comes of one topic.

    16 kHz passes through untouched. Other rates are resampled with a delay of 8 to 30 ms (60 ms
    at 4 kHz), which the stamps account for: a stamp is that of the first sample since the last
    restart, plus what was put out since then. A restart is made where the format changes, and
    where a stamp is further from the count of samples than stamps jitter; the rest of the old
    audio is put out before it.
    """

    def __init__(
        self,
        given: AudioFormat | None = None,
        *,
        queued: bool = False,
        breaks: Callable[[], int] = lambda: 0,
    ) -> None:
        """`given` is the format of messages that do not state theirs; it may be set anew.

        `breaks` counts how often the receiver dropped its audio: each time what is left of it
        here is forgotten, too.

        `queued` audio may come faster than real time: stamps that stay behind are no restart
        then. What is put out is stamped no later than its message, so that whoever drops what
        waits need not know how much of it there was.
        """
        self.given = given
        self._queued, self._breaks = queued, breaks
        self._known_breaks = breaks()
        self._format: AudioFormat | None = None
        self._downmix: Downmix | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._start_ns = 0
        self._received = 0  # samples since then, at the input's rate
        self._emitted = 0  # and at 16 kHz
        self._early_ns = 0  # by which queued audio comes before its time
        self._newest_ns = 0  # stamp of what was put out last
        self.format_changes = 0
        self.jumps = 0
        self.sanitized_samples = 0

    @property
    def format(self) -> AudioFormat | None:
        """The format of the newest message, None before the first and after ``flush``."""
        return self._format

    @property
    def cancelled(self) -> bool:
        """Whether the channels cancel each other out, so that one of them is taken alone."""
        return self._downmix is not None and self._downmix.cancelled

    def push(self, msg: Any, stamp_ns: int, *, arrived: bool = False) -> list[AudioChunk]:
        """The audio that `msg`, whose first sample is of `stamp_ns`, makes available.

        `arrived`: the stamp is the time of arrival, not of recording. None, one chunk, or two
        where a restart was made. Samples that are not finite count in
        `sanitized_samples` and become 0 before they are resampled. Raises BadMessage, and then
        leaves everything as it was.
        """
        channels, form = samples(msg, self.given), format_of(msg, self.given)  # [n, channels]
        return self.push_samples(channels, form, stamp_ns, arrived=arrived)

    def push_samples(
        self, channels: Samples, form: AudioFormat, stamp_ns: int, *, arrived: bool = False
    ) -> list[AudioChunk]:
        """The same of samples ``[n, channels]``, n ≥ 1, in -1…1, that are decoded already."""
        breaks = self._breaks()
        if breaks != self._known_breaks:
            self._known_breaks = breaks
            self.restart()
        out = []
        if form != self._format or self._jumps(stamp_ns, len(channels), arrived):
            self.format_changes += self._format not in (None, form)
            self.jumps += self._format == form
            out += self.flush()
            self._begin(form, stamp_ns)
        behind_ns = self._due_ns() - stamp_ns
        self._early_ns = behind_ns if self._queued and behind_ns > TOLERANCE_NS else 0
        self._received += len(channels)
        assert self._downmix
        return out + self._emit(self._to_16_khz(self._downmix(channels)))

    def restart(self) -> None:
        """Forget the audio so far, what is held of it included: it is not wanted any more."""
        self._format = self._downmix = self._resampler = None

    def flush(self) -> list[AudioChunk]:
        """What the resampler still holds; the next message begins anew."""
        rest = np.zeros(0, np.float32)
        if self._resampler is not None:
            rest = _limited(self._resampler.resample_chunk(rest, last=True))
        out = self._emit(rest)
        self.restart()
        return out

    def _begin(self, form: AudioFormat, stamp_ns: int) -> None:
        self._format, self._start_ns = form, stamp_ns
        self._received = self._emitted = self._early_ns = self._newest_ns = 0
        self._downmix = Downmix(form.rate_hz, form.channels)
        same = form.rate_hz == SAMPLE_RATE_HZ
        self._resampler = None if same else _new_resampler(form.rate_hz)

    def _jumps(self, stamp_ns: int, count: int, arrived: bool) -> bool:
        """Whether a message of `count` samples does not follow the one before.

        Stamps of a microphone may jitter, but by less than a message: else the loss
        of one would not be noticed. Times of arrival reveal no loss.
        """
        assert self._format
        duration_ns = count * 1_000_000_000 // self._format.rate_hz
        ahead_ns = stamp_ns - self._due_ns()
        if ahead_ns < 0:
            # what is resampled joins on; what passes through is put in its place by its stamp
            joins = self._queued and self._resampler is not None
            at_once_ns = MESSAGES_AT_ONCE * duration_ns
            allowed_ns = max(ARRIVAL_TOLERANCE_NS, at_once_ns) if arrived else TOLERANCE_NS
            return not joins and -ahead_ns > allowed_ns
        if arrived:
            return ahead_ns > ARRIVAL_TOLERANCE_NS
        return ahead_ns > max_late(duration_ns, TOLERANCE_NS)

    def _due_ns(self) -> int:
        """The stamp of the sample that comes next, by the number of those that came."""
        rate_hz = self._format.rate_hz if self._format else SAMPLE_RATE_HZ
        return self._start_ns + self._received * 1_000_000_000 // rate_hz

    def _to_16_khz(self, mono: Samples) -> Samples:
        if self._resampler is None:
            return mono
        mono, not_finite = sanitized(mono)  # one of them would silence the filter for good
        self.sanitized_samples += not_finite
        return _limited(self._resampler.resample_chunk(mono))

    def _emit(self, mono: Samples) -> list[AudioChunk]:
        if not len(mono):
            return []
        stamp_ns = self._start_ns + self._emitted * _SAMPLE_NS - self._early_ns
        # the resampler holds now more, now less, which must not change the order
        self._newest_ns = stamp_ns = max(stamp_ns, self._newest_ns)
        self._emitted += len(mono)
        return [AudioChunk(mono, SAMPLE_RATE_HZ, stamp_ns)]


def _limited(mono: Samples) -> Samples:
    """Filters overshoot where the audio was clipped."""
    return np.clip(mono, -1.0, 1.0)


def _new_resampler(rate_hz: int) -> soxr.ResampleStream:
    """A resampler to 16 kHz with little delay.

    soxr's fixed-rate filters hold back 36 ms of 48 kHz and 115 ms of 8 kHz, which is more than a
    block waits for late audio; those for variable rates, just as good, hold back 13 and 30 ms. In
    turn they delay by up to 0.1 ms more, some frequencies less than others. Since soxr 1.1.
    """
    try:
        return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", vr=True)
    except TypeError:
        return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
