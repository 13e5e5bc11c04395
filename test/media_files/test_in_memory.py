"""Files that somebody sends: read in memory, bounded before they are decoded."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
import soundfile

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media_files.plain_wav import decode_plain_wav
from avatar_forcing_ros.media_files.reading import decode_audio


def audio_file(kind: str, seconds: float, rate_hz: int = 24_000, channels: int = 1) -> bytes:
    data = io.BytesIO()
    tone = 0.3 * np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * 200 / rate_hz)
    soundfile.write(data, np.tile(tone[:, None], channels), rate_hz, format=kind)
    return data.getvalue()


def webm(seconds: float) -> bytes:
    """As a browser records."""
    data = io.BytesIO()
    with av.open(data, "w", format="webm") as container:
        stream = container.add_stream("libopus", 48_000, layout="mono")
        tone = (8_000 * np.sin(np.arange(round(48_000 * seconds)) / 40)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return data.getvalue()


@pytest.mark.parametrize("data", [audio_file("WAV", 1.0), audio_file("FLAC", 1.0), webm(1.0)])
def test_audio_is_read(data: bytes) -> None:
    samples = decode_audio(data, max_s=2.0)
    assert abs(len(samples) - 16_000) < 700
    assert np.abs(samples).max() > 0.2


@pytest.mark.parametrize("data", [audio_file("FLAC", 3.0), webm(3.0)])
def test_long_audio_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="at most 2 s"):
        decode_audio(data, max_s=2.0)


def test_a_small_file_cannot_take_much_memory() -> None:
    with pytest.raises(MediaError, match="samples a second"):
        decode_audio(audio_file("WAV", 0.01, 192_000, 8), max_s=2.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(1_000),
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        audio_file("WAV", 0.5)[:30],
    ],
)
def test_what_is_no_audio_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError):
        decode_audio(data, max_s=2.0)


@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1)])
def test_plain_wav_is_the_same_without_its_decoders(rate_hz: int, channels: int) -> None:
    data = audio_file("WAV", 1.0, rate_hz, channels)
    plain = decode_plain_wav(data, max_s=2.0)
    assert plain is not None
    np.testing.assert_array_equal(plain, decode_audio(data, max_s=2.0))


def test_other_and_damaged_files_are_no_plain_wav() -> None:
    whole = audio_file("WAV", 0.1)
    others = [audio_file("FLAC", 0.1), webm(0.1), b"", whole[:30], whole[:-2]]
    others += [audio_file("WAV", 3.0), audio_file("WAV", 0.01, 192_000, 8)]
    assert [decode_plain_wav(data, max_s=2.0) for data in others] == [None] * len(others)
    chance = np.random.default_rng(0)
    for _ in range(2000):  # whatever its header says
        data = bytearray(whole)
        for at in chance.integers(0, 44, 3):
            data[at] = chance.integers(256)
        plain = decode_plain_wav(bytes(data), max_s=2.0)
        assert plain is None or np.abs(plain).max() <= 1.0
