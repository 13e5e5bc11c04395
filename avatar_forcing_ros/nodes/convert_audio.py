"""ROS sound ↔ 16 kHz mono.

Two packages are called ``audio_common_msgs``. One says in every ``AudioStamped`` what it holds; of
the other's ``AudioDataStamped`` and ``AudioData``, plain bytes, parameters say it. They are told
apart by their fields, since only one of the packages can be installed.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import audio_common_msgs.msg as audio_msgs
import numpy as np
import soxr
from numpy.typing import NDArray

from avatar_forcing_ros.downmix import Downmix
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.nodes.bad_message import refuse
from avatar_forcing_ros.sync.audio_buffers import sanitized
from avatar_forcing_ros.sync.timeline import max_late
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

Kind = Literal["float32", "int32", "int24", "int16", "int8", "uint8"]
Samples = NDArray[np.float32]

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 4_000, 384_000
MOST_CHANNELS = 32
TOLERANCE_NS = 20_000_000
# of times of arrival, which jitter by the network's whims, and by whole messages where some are
# sent at once
ARRIVAL_TOLERANCE_NS = 200_000_000
MESSAGES_AT_ONCE = 4
# PyAudio's codes, as AudioInfo.format holds them
KIND_OF_CODE: dict[int, Kind] = {
    1: "float32",
    2: "int32",
    4: "int24",
    8: "int16",
    16: "int8",
    32: "uint8",
}
CODE_OF_KIND: dict[Kind, int] = {kind: code for code, kind in KIND_OF_CODE.items()}
_SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE_HZ  # 62,500, without a remainder
_DTYPES = {"float32": "<f4", "int32": "<i4", "int16": "<i2", "int8": "i1", "uint8": "u1"}
_FULL_SCALE = {"int32": 2.0**31, "int24": 2.0**23, "int16": 2.0**15, "int8": 128.0, "uint8": 128.0}
_FIELDS = ("float32_data", "int32_data", "int16_data", "int8_data", "uint8_data")


@dataclass(frozen=True)
class AudioFormat:
    """What a stream's numbers mean; channels are interleaved, bytes are little-endian."""

    rate_hz: int
    channels: int
    kind: Kind


def format_of(msg: Any, given: AudioFormat | None = None) -> AudioFormat:
    """The format of an audio message: its own where it says it, else the `given` one.

    Raises BadMessage for one that is unknown or absurd.
    """
    info = getattr(_audio(msg), "info", None)
    if info is not None:
        kind = KIND_OF_CODE.get(info.format)
        if kind is None:
            known = ", ".join(f"{code} {name}" for code, name in KIND_OF_CODE.items())
            raise refuse(
                "format",
                "audio message",
                expected=f"a format of {known}",
                got=str(info.format),
                remedy="fill in audio.info where the sound is published",
            )
        given = AudioFormat(int(info.rate), int(info.channels), kind)
    elif given is None:
        raise refuse(
            "format",
            "audio message",
            expected="AudioStamped, which says what it holds",
            got=type(msg).__name__,
            remedy="set the parameters for rate, channels and format of plain bytes",
        )
    if not LOWEST_RATE_HZ <= given.rate_hz <= HIGHEST_RATE_HZ:
        raise refuse(
            "rate",
            "audio message",
            expected=f"a rate of {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz",
            got=f"{given.rate_hz} Hz",
            remedy="fill in the rate where the sound is published",
        )
    if not 1 <= given.channels <= MOST_CHANNELS:
        raise refuse(
            "channels",
            "audio message",
            expected=f"1 to {MOST_CHANNELS} channels",
            got=str(given.channels),
            remedy="fill in the number of channels where the sound is published",
        )
    return given


def samples(msg: Any, given: AudioFormat | None = None) -> Samples:
    """The sound in an audio message, ``[n, channels]`` float32 in -1…1, n ≥ 1.

    Samples that are not finite stay as they are, for the timeline to mend. `given` is the format
    of messages that do not say theirs. Raises BadMessage for everything that cannot be read.
    """
    form = format_of(msg, given)
    audio = _audio(msg)
    data = getattr(audio, "audio_data", None)
    flat = _from_bytes(audio.data, form.kind) if data is None else _from_arrays(data, form.kind)
    if not len(flat):
        raise refuse(
            "empty",
            "audio message",
            expected="at least one sample",
            got="none",
            remedy="check the microphone, and publish nothing rather than empty messages",
        )
    if len(flat) % form.channels:
        raise refuse(
            "size",
            "audio message",
            expected=f"a multiple of {form.channels} samples, one for each channel",
            got=f"{len(flat)} samples",
            remedy="fill in the number of channels where the sound is published",
        )
    return (_bounded(flat) if form.kind == "float32" else flat).reshape(-1, form.channels)


def bytes_of(msg: Any) -> bytes | None:
    """The bytes of a message that does not say what they are; None of one that does."""
    data = getattr(_audio(msg), "data", None)
    return None if data is None else memoryview(data).tobytes()


def _audio(msg: Any) -> Any:
    """The part that holds the sound, of messages with and without a header."""
    return getattr(msg, "audio", msg)


def _bounded(flat: Samples) -> Samples:
    """Finite samples limited to -1…1, the others as they are; the usual ones are not copied."""
    with np.errstate(invalid="ignore"):  # random bytes hold NaNs that warn wherever they go
        if np.abs(flat).max() <= 1.0:  # false for a NaN too
            return flat
        return np.where(np.isfinite(flat), np.clip(flat, -1.0, 1.0), flat)


def _from_arrays(data: Any, kind: Kind) -> Samples:
    """``[n]`` float32 from the array that belongs to `kind`."""
    if kind == "int24":
        # PortAudio packs three bytes; publishers widen them or pass them on
        if len(data.uint8_data) and not len(data.int32_data):
            return _from_bytes(data.uint8_data, kind)
        field = "int32_data"
    else:
        field = f"{kind}_data"
    values = getattr(data, field)
    others = [name for name in _FIELDS if name != field and len(getattr(data, name))]
    if others and not len(values):
        raise refuse(
            "format",
            f"audio message of format {CODE_OF_KIND[kind]} ({kind})",
            expected=f"samples in {field}",
            got=f"samples in {', '.join(others)}",
            remedy="set audio.info.format to the kind that is published",
        )
    return _scaled(np.asarray(values), kind)


def _from_bytes(data: Any, kind: Kind) -> Samples:
    """``[n]`` float32 from little-endian bytes."""
    raw = np.asarray(memoryview(data).cast("B")) if len(data) else np.zeros(0, np.uint8)
    width = 3 if kind == "int24" else np.dtype(_DTYPES[kind]).itemsize
    if len(raw) % width:
        raise refuse(
            "size",
            f"audio message of {kind}",
            expected=f"a multiple of {width} bytes",
            got=f"{len(raw)} bytes",
            remedy="set the parameter for the sample format to what is published",
        )
    if kind != "int24":
        return _scaled(raw.view(_DTYPES[kind]), kind)
    wide = np.zeros((len(raw) // 3, 4), np.uint8)
    wide[:, 1:] = raw.reshape(-1, 3)  # at the top of 32 bits, so that the sign is theirs
    return _scaled(wide.view("<i4")[:, 0] >> 8, kind)


def _scaled(values: NDArray[Any], kind: Kind) -> Samples:
    if kind == "float32":
        return values.astype(np.float32, copy=False)
    if kind == "int24" and len(values) and np.abs(values.astype(np.int64)).max() > 2**23:
        raise refuse(
            "format",
            "audio message of int24",
            expected="values within 24 bits",
            got="larger ones",
            remedy="publish them as int32, format 2, or shift them down by 8 bits",
        )
    centre = 128.0 if kind == "uint8" else 0.0
    return ((values - centre) / _FULL_SCALE[kind]).astype(np.float32)


class AudioInput:
    """One topic's sound as 16 kHz mono without gaps, stamped by counting samples.

    16 kHz passes through untouched. Other rates are resampled with a delay of 8 to 30 ms (60 ms
    at 4 kHz), which the stamps know of: a stamp is that of the first sample since the last new
    beginning, plus what was given out since then. A new beginning is made where the format
    changes, and where a stamp is further from what the samples say than stamps jitter; the old
    sound's rest is given out before it.
    """

    def __init__(
        self,
        given: AudioFormat | None = None,
        *,
        queued: bool = False,
        breaks: Callable[[], int] = lambda: 0,
    ) -> None:
        """`given` is the format of messages that do not say theirs; it may be set anew.

        `breaks` counts how often the sound was dropped where it went to: each time what is left of
        it here is forgotten, too.

        A `queued` sound may come faster than its own pace: stamps that stay behind are no new
        beginning then. What is given out is stamped no later than its message, so that whoever
        drops what waits need not know how much of it there was.
        """
        self.given = given
        self._queued, self._breaks = queued, breaks
        self._known_breaks = breaks()
        self._format: AudioFormat | None = None
        self._downmix: Downmix | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._start_ns = 0
        self._came = 0  # samples since then, at the input's rate
        self._given_out = 0  # and at 16 kHz
        self._early_ns = 0  # by which a queued sound comes before its time
        self._newest_ns = 0  # stamp of what was given out last
        self.format_changes = 0
        self.jumps = 0
        self.mended_samples = 0

    @property
    def format(self) -> AudioFormat | None:
        """The format of the newest message, None before the first and after ``flush``."""
        return self._format

    @property
    def cancelled(self) -> bool:
        """Whether the channels cancel each other out, so that one of them is taken alone."""
        return self._downmix is not None and self._downmix.cancelled

    def push(self, msg: Any, stamp_ns: int, *, arrived: bool = False) -> list[AudioChunk]:
        """The sound that `msg`, whose first sample is of `stamp_ns`, makes available.

        `arrived`: that is only when it came, since nobody said when it was recorded. None, one
        chunk, or two where a new beginning was made. Samples that are not finite count in
        `mended_samples` and become 0 before they are resampled. Raises BadMessage, and then leaves
        everything as it was.
        """
        channels, form = samples(msg, self.given), format_of(msg, self.given)  # [n, channels]
        return self.push_samples(channels, form, stamp_ns, arrived=arrived)

    def push_samples(
        self, channels: Samples, form: AudioFormat, stamp_ns: int, *, arrived: bool = False
    ) -> list[AudioChunk]:
        """The same of samples ``[n, channels]``, n ≥ 1, in -1…1, that somebody has decoded."""
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
        self._came += len(channels)
        assert self._downmix
        return out + self._give(self._to_16_khz(self._downmix(channels)))

    def restart(self) -> None:
        """Forget the sound so far, what is held of it included: it is not wanted any more."""
        self._format = self._downmix = self._resampler = None

    def _jumps(self, stamp_ns: int, count: int, arrived: bool) -> bool:
        """Whether a message of `count` samples does not follow the one before.

        Stamps of a microphone may jitter a little. Times of arrival tell no loss.
        """
        assert self._format
        lasts_ns = count * 1_000_000_000 // self._format.rate_hz
        ahead_ns = stamp_ns - self._due_ns()
        if ahead_ns < 0:
            # what is resampled joins on; what passes through is put in its place by its stamp
            joins = self._queued and self._resampler is not None
            at_once_ns = MESSAGES_AT_ONCE * lasts_ns
            allowed_ns = max(ARRIVAL_TOLERANCE_NS, at_once_ns) if arrived else TOLERANCE_NS
            return not joins and -ahead_ns > allowed_ns
        if arrived:
            return ahead_ns > ARRIVAL_TOLERANCE_NS
        return ahead_ns > max_late(lasts_ns, TOLERANCE_NS)

    def flush(self) -> list[AudioChunk]:
        """What the resampler still holds; the next message makes a new beginning."""
        rest = np.zeros(0, np.float32)
        if self._resampler is not None:
            rest = _limited(self._resampler.resample_chunk(rest, last=True))
        out = self._give(rest)
        self.restart()
        return out

    def _begin(self, form: AudioFormat, stamp_ns: int) -> None:
        self._format, self._start_ns = form, stamp_ns
        self._came = self._given_out = self._early_ns = self._newest_ns = 0
        self._downmix = Downmix(form.rate_hz, form.channels)
        same = form.rate_hz == SAMPLE_RATE_HZ
        self._resampler = None if same else _new_resampler(form.rate_hz)

    def _due_ns(self) -> int:
        """The stamp of the sample that comes next, by the number of those that came."""
        rate_hz = self._format.rate_hz if self._format else SAMPLE_RATE_HZ
        return self._start_ns + self._came * 1_000_000_000 // rate_hz

    def _to_16_khz(self, mono: Samples) -> Samples:
        if self._resampler is None:
            return mono
        mono, not_finite = sanitized(mono)  # one of them would silence the filter for good
        self.mended_samples += not_finite
        return _limited(self._resampler.resample_chunk(mono))

    def _give(self, sound: Samples) -> list[AudioChunk]:
        if not len(sound):
            return []
        stamp_ns = self._start_ns + self._given_out * _SAMPLE_NS - self._early_ns
        # the resampler holds now more, now less, which must not change the order
        self._newest_ns = stamp_ns = max(stamp_ns, self._newest_ns)
        self._given_out += len(sound)
        return [AudioChunk(sound, SAMPLE_RATE_HZ, stamp_ns)]


def _limited(sound: Samples) -> Samples:
    """Filters overshoot where the sound was clipped."""
    return np.clip(sound, -1.0, 1.0)


def _new_resampler(rate_hz: int) -> soxr.ResampleStream:
    """A resampler to 16 kHz with little delay.

    soxr's fixed-rate filters hold back 36 ms of 48 kHz and 115 ms of 8 kHz, which is more than a
    block waits for late sound; those for variable rates, just as good, hold back 13 and 30 ms. In
    turn they delay by up to 0.1 ms more, some notes less than others. They exist since soxr 1.1.
    """
    try:
        return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", vr=True)
    except TypeError:
        return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")


def samples_to_msg(sound: Samples, header: Any, kind: Kind = "float32") -> Any:
    """AudioStamped of 16 kHz mono `sound` ``[n]``, as float32 or int16.

    Raises ValueError for another kind.
    """
    msg = audio_msgs.AudioStamped(header=header)
    info = msg.audio.info
    info.format, info.channels, info.rate = CODE_OF_KIND[kind], 1, SAMPLE_RATE_HZ
    info.chunk = len(sound)
    setattr(msg.audio.audio_data, f"{kind}_data", _coded(sound, kind))
    return msg


def samples_to_data_msg(sound: Samples, header: Any) -> Any:
    """The other package's AudioDataStamped of 16 kHz mono `sound` ``[n]``: int16 bytes."""
    data = array.array("B", _coded(sound, "int16").tobytes())
    return audio_msgs.AudioDataStamped(header=header, audio=audio_msgs.AudioData(data=data))


def samples_to_audio_data(sound: Samples, header: Any) -> Any:
    """The same without the header."""
    return samples_to_data_msg(sound, header).audio


def _coded(sound: Samples, kind: Kind) -> array.array[Any]:
    """`sound` ``[n]`` as numbers of `kind`."""
    if kind == "float32":
        return array.array("f", sound.astype(np.float32).tobytes())
    if kind != "int16":
        raise ValueError(f"expected float32 or int16, got {kind}")
    steps = np.clip(np.rint(sound * _FULL_SCALE[kind]), -32768, 32767)
    return array.array("h", steps.astype(np.int16).tobytes())
