"""ROS audio messages ↔ samples and their format.

Two packages are called ``audio_common_msgs``, of which a machine has one. In one every
``AudioStamped`` states its format. That of ros-drivers, which every distribution ships, sends
bytes, ``AudioDataStamped`` and ``AudioData``: an ``AudioInfo`` on another topic, or parameters,
state rate, channels and format.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import audio_common_msgs.msg as audio_msgs
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.diagnostics import BadMessage, Reason
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

SampleFormat = Literal["float32", "int32", "int24", "int16", "int8", "uint8"]
Samples = NDArray[np.float32]

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
MAX_CHANNELS = 32
# PyAudio's codes, as AudioInfo.format of AudioStamped holds them
FORMAT_OF_CODE: dict[int, SampleFormat] = {
    1: "float32",
    2: "int32",
    4: "int24",
    8: "int16",
    16: "int8",
    32: "uint8",
}
CODE_OF_FORMAT: dict[SampleFormat, int] = {name: code for code, name in FORMAT_OF_CODE.items()}
# as the other package's AudioInfo names them, without the byte order
FORMAT_OF_NAME: dict[str, SampleFormat] = {
    "S8": "int8",
    "U8": "uint8",
    "S16": "int16",
    "S24": "int24",
    "S32": "int32",
    "F32": "float32",
}
_DTYPES = {"float32": "<f4", "int32": "<i4", "int16": "<i2", "int8": "i1", "uint8": "u1"}
_FULL_SCALE = {"int32": 2.0**31, "int24": 2.0**23, "int16": 2.0**15, "int8": 128.0, "uint8": 128.0}
_FIELDS = ("float32_data", "int32_data", "int16_data", "int8_data", "uint8_data")
MP3 = "mp3"
_RAW_CODINGS = {"", "wave", "wav", "raw", "pcm"}
# the values of the parameter ``audio_msg``, with their message classes
CLASSES = {
    "audio_stamped": "AudioStamped",
    "audio_data_stamped": "AudioDataStamped",
    "audio_data": "AudioData",
}


@dataclass(frozen=True)
class AudioFormat:
    """What a stream's numbers mean; channels are interleaved, bytes are little-endian."""

    rate_hz: int
    channels: int
    sample_format: SampleFormat


def installed_kinds() -> tuple[str, ...]:
    """The values of the parameter ``audio_msg`` that the installed package has messages for."""
    kinds = []
    for kind, name in CLASSES.items():
        found = getattr(audio_msgs, name, None)
        # both packages have an AudioData, but only that of bytes is a message by itself
        if found is not None and (kind != "audio_data" or hasattr(found, "data")):
            kinds.append(kind)
    return tuple(kinds)


def resolve_kind(kind: str) -> str:
    """`kind`, or for ``auto`` the one with a stamp that the installed package has.

    Raises ConfigError where the installed package has no such message.
    """
    installed = installed_kinds()
    if kind == "auto" and installed:
        return installed[0]
    if kind not in installed:
        raise ConfigError(
            "parameter 'audio_msg'",
            expected="one that the installed audio_common_msgs has: "
            f"{', '.join(installed) or 'none'}",
            got=f"{kind} ({CLASSES.get(kind, 'no message')})",
            remedy="leave it at auto, or source the workspace that has the other package",
        )
    return kind


def stamped_kind(kind: str) -> str:
    """The kind that is sent where ``audio_msg`` is `kind`: of the same package, with a stamp."""
    kind = resolve_kind(kind)
    return "audio_data_stamped" if kind == "audio_data" else kind


def audio_message(kind: str) -> Any:
    """The message class of one of `installed_kinds`."""
    return getattr(audio_msgs, CLASSES[resolve_kind(kind)])


def format_of(msg: Any, given: AudioFormat | None = None) -> AudioFormat:
    """The format of an audio message: its own where it states one, else the `given` one.

    Raises BadMessage for one that is unknown or absurd.
    """
    info = getattr(_audio(msg), "info", None)
    if info is not None:
        sample_format = FORMAT_OF_CODE.get(info.format)
        if sample_format is None:
            known = ", ".join(f"{code} {name}" for code, name in FORMAT_OF_CODE.items())
            raise _bad("format", f"a format of {known}", str(info.format))
        given = AudioFormat(int(info.rate), int(info.channels), sample_format)
    elif given is None:
        raise _bad("format", "AudioStamped, which states its format", type(msg).__name__)
    if not MIN_RATE_HZ <= given.rate_hz <= MAX_RATE_HZ:
        rates = f"a rate of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
        raise _bad("rate", rates, f"{given.rate_hz} Hz")
    if not 1 <= given.channels <= MAX_CHANNELS:
        raise _bad("channels", f"1 to {MAX_CHANNELS} channels", str(given.channels))
    return given


def format_of_info(info: Any) -> AudioFormat | str:
    """The format of the bytes that an ``AudioInfo`` describes, or `MP3`.

    Raises BadMessage for a coding or sample format that is not read.
    """
    coding = info.coding_format.strip().lower()
    if coding == MP3:
        return MP3
    if coding not in _RAW_CODINGS:
        raise BadMessage(
            "format",
            "audio info",
            expected="the coding format wave or mp3",
            got=repr(info.coding_format[:40]),
            remedy="set the parameter format of audio_capture to wave",
        )
    sample_format = FORMAT_OF_NAME.get(info.sample_format.strip().upper().removesuffix("LE"))
    if sample_format is None:
        raise BadMessage(
            "format",
            "audio info",
            expected=f"one of the sample formats {', '.join(FORMAT_OF_NAME)}, little-endian",
            got=repr(info.sample_format[:40]),
            remedy="set the parameter sample_format of audio_capture to S16LE",
        )
    return AudioFormat(int(info.sample_rate), int(info.channels), sample_format)


def samples(msg: Any, given: AudioFormat | None = None) -> Samples:
    """The audio in a message, ``[n, channels]`` float32 in -1…1, n ≥ 1.

    Samples that are not finite stay as they are, for the timeline to count. `given` is the format
    of messages that do not state theirs. Raises BadMessage for everything that cannot be read.
    """
    form = format_of(msg, given)
    audio, coding = _audio(msg), form.sample_format
    data = getattr(audio, "audio_data", None)
    flat = _from_bytes(audio.data, coding) if data is None else _from_arrays(data, coding)
    if not len(flat):
        raise _bad("empty", "at least one sample", "none")
    if len(flat) % form.channels:
        wanted = f"a multiple of {form.channels} samples, one for each channel"
        raise _bad("size", wanted, f"{len(flat)} samples")
    return (_bounded(flat) if coding == "float32" else flat).reshape(-1, form.channels)


def bytes_of(msg: Any) -> bytes | None:
    """The bytes of a message that does not state its format; None of one that does."""
    data = getattr(_audio(msg), "data", None)
    return None if data is None else memoryview(data).tobytes()


def _bad(reason: Reason, expected: str, got: str) -> BadMessage:
    remedy = "correct the node that publishes it, or, for plain bytes, the parameters audio_data.*"
    return BadMessage(reason, "audio message", expected=expected, got=got, remedy=remedy)


def _audio(msg: Any) -> Any:
    """The part that holds the audio, of messages with and without a header."""
    return getattr(msg, "audio", msg)


def _bounded(flat: Samples) -> Samples:
    """Finite samples limited to -1…1, the others as they are; the usual ones are not copied."""
    with np.errstate(invalid="ignore"):  # random bytes hold NaNs that warn wherever they go
        if np.abs(flat).max() <= 1.0:  # false for a NaN too
            return flat
        return np.where(np.isfinite(flat), np.clip(flat, -1.0, 1.0), flat)


def _from_arrays(data: Any, coding: SampleFormat) -> Samples:
    """``[n]`` float32 from the array that belongs to `coding`."""
    field = f"{coding}_data"
    if coding == "int24":
        # PortAudio packs three bytes; publishers widen them or pass them on
        if len(data.uint8_data) and not len(data.int32_data):
            return _from_bytes(data.uint8_data, coding)
        field = "int32_data"
    values = getattr(data, field)
    others = [name for name in _FIELDS if name != field and len(getattr(data, name))]
    if others and not len(values):
        raise _bad("format", f"samples of {coding} in {field}", f"samples in {', '.join(others)}")
    return _scaled(np.asarray(values), coding)


def _from_bytes(data: Any, coding: SampleFormat) -> Samples:
    """``[n]`` float32 from little-endian bytes."""
    raw = np.asarray(memoryview(data).cast("B")) if len(data) else np.zeros(0, np.uint8)
    width = 3 if coding == "int24" else np.dtype(_DTYPES[coding]).itemsize
    if len(raw) % width:
        raise _bad("size", f"a multiple of {width} bytes for {coding}", f"{len(raw)} bytes")
    if coding != "int24":
        return _scaled(raw.view(_DTYPES[coding]), coding)
    wide = np.zeros((len(raw) // 3, 4), np.uint8)
    wide[:, 1:] = raw.reshape(-1, 3)  # at the top of 32 bits, so that the sign is theirs
    return _scaled(wide.view("<i4")[:, 0] >> 8, coding)


def _scaled(values: NDArray[Any], coding: SampleFormat) -> Samples:
    if coding == "float32":
        return values.astype(np.float32, copy=False)
    if coding == "int24" and len(values) and np.abs(values.astype(np.int64)).max() > 2**23:
        raise _bad("format", "values of int24 within 24 bits", "larger ones, perhaps of int32")
    centre = 128.0 if coding == "uint8" else 0.0
    return ((values - centre) / _FULL_SCALE[coding]).astype(np.float32)


def samples_to_msg(mono: Samples, header: Any) -> Any:
    """AudioStamped of 16 kHz `mono` ``[n]``: float32."""
    msg = audio_msgs.AudioStamped(header=header)
    info = msg.audio.info
    info.format, info.channels, info.rate = CODE_OF_FORMAT["float32"], 1, SAMPLE_RATE_HZ
    info.chunk = len(mono)
    msg.audio.audio_data.float32_data = array.array("f", mono.astype(np.float32).tobytes())
    return msg


def samples_to_data_msg(mono: Samples, header: Any) -> Any:
    """The other package's AudioDataStamped of 16 kHz `mono` ``[n]``: int16 bytes."""
    steps = np.clip(np.rint(mono * _FULL_SCALE["int16"]), -32768, 32767)
    data = array.array("B", steps.astype("<i2").tobytes())
    return audio_msgs.AudioDataStamped(header=header, audio=audio_msgs.AudioData(data=data))


# by the values of ``audio_msg``: 16 kHz mono and a header to a message
TO_MESSAGE: dict[str, Callable[[Samples, Any], Any]] = {
    "audio_stamped": samples_to_msg,
    "audio_data_stamped": samples_to_data_msg,
    "audio_data": lambda mono, header: samples_to_data_msg(mono, header).audio,
}
