"""Protects the reading of audio messages: every way to write a sample, and none that crashes."""

from __future__ import annotations

import array
import struct
import warnings
from types import SimpleNamespace
from typing import Any

import audio_common_msgs.msg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from std_msgs.msg import Header

from avatar_forcing_ros.nodes.audio_input import AudioInput
from avatar_forcing_ros.nodes.convert_audio import (
    CODE_OF_FORMAT,
    AudioFormat,
    format_of,
    installed_kinds,
    samples,
    samples_to_data_msg,
    samples_to_msg,
)
from avatar_forcing_ros.nodes.diagnostics import BadMessage

pytestmark = pytest.mark.either_audio
if "audio_stamped" not in installed_kinds():
    pytest.skip("of the other audio_common_msgs", allow_module_level=True)
START_NS = 1_700_000_000_123_456_789
TYPECODE = {"float32": "f", "int32": "i", "int16": "h", "int8": "b", "uint8": "B"}


def stamped(
    values, kind: str = "float32", rate: int = 16_000, channels: int = 1, field: str | None = None
) -> Any:
    msg = audio_common_msgs.msg.AudioStamped()
    info = msg.audio.info
    info.format, info.rate, info.channels = CODE_OF_FORMAT.get(kind, 0), rate, channels
    field = field or f"{kind}_data"
    setattr(
        msg.audio.audio_data, field, array.array(TYPECODE[field.removesuffix("_data")], values)
    )
    return msg


def plain(data: bytes, with_header: bool = True) -> SimpleNamespace:
    """The other package's messages, by their fields: only one of the two can be installed."""
    audio = SimpleNamespace(data=array.array("B", data))
    return SimpleNamespace(header=Header(), audio=audio) if with_header else audio


def noise(count: int, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * 0.1).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("float32", [0.5, -1.0, 1.0], [0.5, -1.0, 1.0]),
        ("int32", [2**30, -(2**31), 0], [0.5, -1.0, 0.0]),
        ("int16", [16384, -32768, 1], [0.5, -1.0, 1 / 32768]),
        ("int8", [64, -128, 1], [0.5, -1.0, 1 / 128]),
        ("uint8", [192, 0, 128], [0.5, -1.0, 0.0]),
    ],
)
def test_kinds_by_hand(kind: str, values: list, expected: list[float]) -> None:
    got = samples(stamped(values, kind))
    assert got.dtype == np.float32
    assert got.tolist() == [[value] for value in expected]
    data = struct.pack(f"<3{TYPECODE[kind]}", *values)
    for with_header in (True, False):
        msg = plain(data, with_header)
        assert samples(msg, AudioFormat(16_000, 1, kind)).tolist() == got.tolist()


def test_int24_comes_widened_or_packed() -> None:
    values = [2**22, -(2**23), 1, -1]
    expected = [[0.5], [-1.0], [2.0**-23], [-(2.0**-23)]]
    packed = b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    assert samples(stamped(values, "int24", field="int32_data")).tolist() == expected
    assert samples(stamped(packed, "int24", field="uint8_data")).tolist() == expected
    assert samples(plain(packed), AudioFormat(48_000, 1, "int24")).tolist() == expected


def test_channels_are_interleaved_and_averaged() -> None:
    msg = stamped([0.5, 0.25, -1.0, 0.0], channels=2)
    assert samples(msg).tolist() == [[0.5, 0.25], [-1.0, 0.0]]
    (chunk,) = AudioInput().push(msg, 5)
    assert chunk.samples.tolist() == [0.375, -0.5]
    assert (chunk.rate_hz, chunk.stamp_ns) == (16_000, 5)


def test_too_loud_is_limited_and_what_is_no_number_passes() -> None:
    got = samples(stamped([2.0, -3.0, float("nan"), float("inf"), 0.5]))[:, 0]
    assert got[[0, 1, 4]].tolist() == [1.0, -1.0, 0.5]
    assert np.isnan(got[2])
    assert np.isinf(got[3])


@pytest.mark.parametrize(
    ("reason", "msg"),
    [
        ("format", stamped([0.0], "none", field="float32_data")),
        ("rate", stamped([0.0], rate=0)),
        ("rate", stamped([0.0], rate=-16_000)),
        ("rate", stamped([0.0], rate=3_999)),
        ("rate", stamped([0.0], rate=384_001)),
        ("channels", stamped([0.0], channels=0)),
        ("channels", stamped([0.0] * 33, channels=33)),
        ("empty", stamped([])),
        ("size", stamped([0.0] * 3, channels=2)),
        ("format", stamped([1, 2], "float32", field="int16_data")),
        ("format", stamped([2**24], "int24", field="int32_data")),
        ("size", stamped([1, 2, 3, 4], "int24", field="uint8_data")),
        ("format", plain(b"ab")),
    ],
)
def test_bad_messages_are_reported_and_change_nothing(reason: str, msg) -> None:
    receiver = AudioInput()
    receiver.push(stamped(noise(480), rate=48_000), START_NS)
    with pytest.raises(BadMessage, match=r"expected .*, got .*; ") as raised:
        receiver.push(msg, START_NS)
    assert raised.value.reason == reason
    receiver.push(stamped(noise(480), rate=48_000), START_NS + 10_000_000)
    assert (receiver.jumps, receiver.format_changes) == (0, 0)


@pytest.mark.parametrize(
    ("reason", "form", "data"),
    [
        ("size", AudioFormat(16_000, 1, "int16"), b"abc"),
        ("size", AudioFormat(16_000, 2, "int16"), b"ab"),
        ("empty", AudioFormat(16_000, 1, "int16"), b""),
        ("rate", AudioFormat(0, 1, "int16"), b"ab"),
        ("channels", AudioFormat(16_000, 0, "int16"), b"ab"),
    ],
)
def test_bad_bytes_are_reported(reason: str, form: AudioFormat, data: bytes) -> None:
    with pytest.raises(BadMessage) as raised:
        samples(plain(data), form)
    assert raised.value.reason == reason


numbers32 = st.integers(-(2**31), 2**31 - 1)


@settings(deadline=None, max_examples=200)
@given(
    code=st.one_of(st.sampled_from([1, 2, 4, 8, 16, 32]), numbers32),
    rate=st.one_of(st.integers(3_990, 384_010), numbers32),
    channels=st.one_of(st.integers(-1, 34), numbers32),
    fields=st.sets(st.sampled_from(["float32", "int32", "int16", "int8", "uint8"])),
    data=st.binary(max_size=240),
    stamp_ns=st.integers(-(2**62), 2**62),
)
def test_any_message_gives_audio_or_a_bad_message(
    code: int, rate: int, channels: int, fields: set[str], data: bytes, stamp_ns: int
) -> None:
    msg = audio_common_msgs.msg.AudioStamped()
    msg.audio.info.format, msg.audio.info.rate, msg.audio.info.channels = code, rate, channels
    for kind in fields:
        values = array.array(TYPECODE[kind])
        values.frombytes(data[: len(data) // values.itemsize * values.itemsize])
        setattr(msg.audio.audio_data, f"{kind}_data", values)
    receiver = AudioInput()
    try:
        out = [*receiver.push(msg, stamp_ns), *receiver.flush()]
    except BadMessage:
        return
    assert all(chunk.samples.dtype == np.float32 and chunk.rate_hz == 16_000 for chunk in out)
    assert not out or out[0].stamp_ns == stamp_ns


@settings(deadline=None, max_examples=60)
@given(
    data=st.binary(max_size=100),
    kind=st.sampled_from(sorted(CODE_OF_FORMAT)),
    channels=st.integers(1, 4),
    with_header=st.booleans(),
)
def test_any_bytes_give_audio_or_a_bad_message(data, kind, channels, with_header) -> None:
    form = AudioFormat(16_000, channels, kind)
    try:
        got = samples(plain(data, with_header), form)
    except BadMessage:
        return
    assert got.shape[1] == channels
    assert len(got) >= 1


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_the_nans_of_random_bytes_pass_without_a_warning(rate: int) -> None:
    signalling = bytes.fromhex("0000817f")
    form = AudioFormat(rate, 1, "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(samples(plain(signalling), form)).all()
        AudioInput(form).push(plain(signalling * 2), START_NS)
        AudioInput(AudioFormat(rate, 2, "float32")).push(plain(signalling * 2), START_NS)


def test_format_of_is_what_a_message_holds() -> None:
    assert format_of(stamped([0], "int16", 44_100, 2)) == AudioFormat(44_100, 2, "int16")
    given_format = AudioFormat(22_050, 1, "int8")
    assert format_of(plain(b"a"), given_format) == given_format
    # what a message states itself counts
    assert format_of(stamped([0], "int16"), given_format) == AudioFormat(16_000, 1, "int16")


def test_audio_there_and_back() -> None:
    mono = np.concatenate([noise(640), np.array([1.0, -1.0, 0.0], np.float32)])
    msg = samples_to_msg(mono, Header(frame_id="avatar"))
    info = msg.audio.info
    assert (info.rate, info.channels, info.chunk) == (16_000, 1, 643)
    assert msg.header.frame_id == "avatar"
    assert np.array_equal(samples(msg)[:, 0], mono)


def test_audio_for_the_other_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its classes by their fields, since only one of the two packages can be installed."""
    from avatar_forcing_ros.nodes import convert_audio

    other = SimpleNamespace(AudioDataStamped=SimpleNamespace, AudioData=SimpleNamespace)
    monkeypatch.setattr(convert_audio, "audio_msgs", other)
    mono = (np.arange(-5, 5) / 32_768).astype(np.float32)
    msg = samples_to_data_msg(mono, Header(frame_id="avatar"))
    assert np.array_equal(samples(msg, AudioFormat(16_000, 1, "int16"))[:, 0], mono)
