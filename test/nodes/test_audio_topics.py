"""Protects audio from the graph, whatever its publisher sends and however it offers it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import audio_common_msgs.msg
import av
import installed_audio
import numpy as np
import pytest
from graph import TwoNodes
from installed_audio import needs_audio_stamped, needs_bytes
from numpy.typing import NDArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from std_msgs.msg import Header

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.media_files.mp3 import Mp3Decoder, looks_like_mp3
from avatar_forcing_ros.nodes.audio_topics import AudioSubscription
from avatar_forcing_ros.nodes.convert_audio import MP3, AudioFormat, format_of_info, resolve_kind
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.subscriptions import MessageTime

pytestmark = pytest.mark.either_audio

TONE = (0.4 * np.sin(np.arange(16_000) * 2 * np.pi * 330 / 16_000)).astype(np.float32)
BEST_EFFORT = QoSProfile(depth=50, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Listener(TwoNodes):
    """Listens to `user/audio`, which the other node is to send."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.chunks: list[AudioChunk] = []
        self.subscription = AudioSubscription(
            self.node,
            "user/audio",
            {"audio_msg": "auto", **settings},
            lambda chunk, _: self.chunks.append(chunk),
            lambda _: MessageTime(10**18 + len(self.received) * 62_500, arrived=True),
            MutuallyExclusiveCallbackGroup(),
        )

    @property
    def received(self) -> NDArray[np.float32]:
        return np.concatenate([np.zeros(0, np.float32), *(c.samples for c in self.chunks)])


@pytest.fixture
def here() -> Iterator[Listener]:
    with contextlib.closing(Listener()) as made:
        yield made


def mp3_of(samples: NDArray[np.float32]) -> bytes:
    """`samples` at 16 kHz as MP3."""
    file = io.BytesIO()
    raw = {"id3v2_version": "0", "write_xing": "0"}  # a stream has no beginning
    with av.open(file, "w", format="mp3", options=raw) as out:
        stream = out.add_stream("mp3", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    return file.getvalue()


def likeness(output: NDArray[np.float32]) -> float:
    """How much of `output` is the tone, whatever its delay: 1 is all of it."""
    spectrum = np.abs(np.fft.rfft(output * np.hanning(len(output)))) ** 2
    hz = np.fft.rfftfreq(len(output), 1 / 16_000)
    return float(spectrum[np.abs(hz - 330) < 20].sum() / spectrum.sum())


def test_publishers_of_either_reliability_are_received(here: Listener) -> None:
    microphone = here.other.create_publisher(installed_audio.MESSAGE, "user/audio", BEST_EFFORT)
    here.until(
        lambda: here.chunks,
        lambda: microphone.publish(installed_audio.to_msg(TONE[:160], Header())),
    )
    here.other.destroy_publisher(microphone)
    here.chunks.clear()
    reliable = here.other.create_publisher(installed_audio.MESSAGE, "user/audio", 50)
    here.until(lambda: not here.subscription.is_best_effort)
    here.until(reliable.get_subscription_count)
    for _ in range(20):
        reliable.publish(installed_audio.to_msg(TONE[:160], Header()))
    here.until(lambda: len(here.received) == 20 * 160)
    assert here.errors.counts == {}


def test_another_message_of_the_same_name_is_reported(here: Listener) -> None:
    here.other.create_publisher(audio_common_msgs.msg.AudioInfo, "user/audio", 1)
    here.until(lambda: here.errors.counts)
    assert list(here.errors.counts) == ["user/audio type"]


@needs_audio_stamped
def test_audio_stamped_alone_is_what_that_package_has() -> None:
    assert resolve_kind("auto") == "audio_stamped"
    with pytest.raises(ConfigError, match="leave it at auto"):
        resolve_kind("audio_data_stamped")


@needs_bytes
def test_bytes_alone_are_what_that_package_has() -> None:
    assert resolve_kind("auto") == "audio_data_stamped"
    with pytest.raises(ConfigError, match="leave it at auto"):
        resolve_kind("audio_stamped")


@needs_bytes
def test_bytes_without_a_stamp_are_received(here: Listener) -> None:
    data = here.other.create_publisher(audio_common_msgs.msg.AudioData, "user/audio", 10)

    here.until(
        lambda: here.chunks,
        lambda: data.publish(installed_audio.to_msg(TONE[:160], Header()).audio),
    )
    assert np.abs(here.chunks[0].samples - TONE[:160]).max() < 1e-4


@needs_bytes
@pytest.mark.parametrize("qos", [LATCHED, 1], ids=["latched", "repeated"])
def test_what_bytes_are_is_read_from_their_info(here: Listener, qos: QoSProfile | int) -> None:
    information = here.other.create_publisher(
        audio_common_msgs.msg.AudioInfo, "user/audio_info", qos
    )
    info = audio_common_msgs.msg.AudioInfo(
        channels=2, sample_rate=8_000, sample_format="S16LE", coding_format="WAVE"
    )
    information.publish(info)
    here.until(
        lambda: here.subscription.coding == AudioFormat(8_000, 2, "int16"),
        lambda: None if qos is LATCHED else information.publish(info),
    )
    microphone = here.other.create_publisher(installed_audio.MESSAGE, "user/audio", 10)
    stereo = np.repeat(TONE[::2], 2)  # 8,000 frames of 8 kHz
    here.until(
        lambda: len(here.received) > 15_000,
        lambda: microphone.publish(installed_audio.to_msg(stereo, Header())),
    )
    assert likeness(here.received[1_000:15_000]) > 0.99


@needs_bytes
@pytest.mark.parametrize("is_described", [True, False])
def test_mp3_is_decoded_and_never_noise(here: Listener, is_described: bool) -> None:
    if is_described:
        information = here.other.create_publisher(
            audio_common_msgs.msg.AudioInfo, "user/audio_info", LATCHED
        )
        information.publish(
            audio_common_msgs.msg.AudioInfo(channels=1, sample_rate=16_000, coding_format="mp3")
        )
        here.until(lambda: here.subscription.coding == MP3)
    microphone = here.other.create_publisher(installed_audio.MESSAGE, "user/audio", 200)
    here.until(microphone.get_subscription_count)
    data = mp3_of(TONE)
    for at in range(0, len(data), 300):  # in pieces that are no whole frames
        piece = audio_common_msgs.msg.AudioData(data=data[at : at + 300])
        microphone.publish(installed_audio.MESSAGE(header=Header(), audio=piece))
    here.until(lambda: len(here.received) > 14_000)
    assert likeness(here.received[2_000:14_000]) > 0.99
    assert here.errors.counts == {}


@needs_bytes
def test_a_coding_that_is_not_read_is_refused_by_name(
    here: Listener,
) -> None:
    information = here.other.create_publisher(
        audio_common_msgs.msg.AudioInfo, "user/audio_info", LATCHED
    )
    information.publish(audio_common_msgs.msg.AudioInfo(coding_format="opus"))
    here.until(lambda: here.errors.counts)
    microphone = here.other.create_publisher(installed_audio.MESSAGE, "user/audio", 10)
    here.until(
        lambda: here.errors.counts.get("user/audio format", 0) > 3,
        lambda: microphone.publish(installed_audio.to_msg(TONE[:160], Header())),
    )
    assert not here.chunks


def info(sample_format: str = "S16LE", coding: str = "wave", rate: int = 16_000) -> Any:
    return SimpleNamespace(
        channels=1, sample_rate=rate, sample_format=sample_format, coding_format=coding
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (info("S16LE"), AudioFormat(16_000, 1, "int16")),
        (info("s24le"), AudioFormat(16_000, 1, "int24")),
        (info("F32LE", "WAVE", 48_000), AudioFormat(48_000, 1, "float32")),
        (info("U8", ""), AudioFormat(16_000, 1, "uint8")),
        (info(coding="MP3"), MP3),
    ],
)
def test_audio_info_is_understood(given: Any, expected: AudioFormat | str) -> None:
    assert format_of_info(given) == expected


@pytest.mark.parametrize("given", [info("S16BE"), info("U16LE"), info(""), info(coding="opus")])
def test_audio_info_of_what_is_not_read_is_refused(given: Any) -> None:
    with pytest.raises(BadMessage, match="audio_capture"):
        format_of_info(given)


def test_mp3_is_distinguished_from_raw_audio() -> None:
    data = mp3_of(TONE)
    assert looks_like_mp3(data)
    assert looks_like_mp3(data[1_000:3_000])  # from the middle of a frame
    rng = np.random.default_rng(0)
    for scale in (1.0, 300.0, 30_000.0):
        for _ in range(200):
            noise = (scale * rng.uniform(-1, 1, 640)).astype(np.int16)
            assert not looks_like_mp3(noise.tobytes())
    assert not looks_like_mp3(np.full(640, -1, np.int16).tobytes())
    assert not looks_like_mp3(b"")


def test_damaged_mp3_does_not_end_the_decoder() -> None:
    decoder, data = Mp3Decoder(), mp3_of(TONE)
    decoder.decode(np.random.default_rng(0).bytes(2_000))
    decoded = np.concatenate([decoder.decode(data), decoder.decode(data)])
    assert decoder.rate_hz == 16_000
    assert len(decoded) > 24_000
