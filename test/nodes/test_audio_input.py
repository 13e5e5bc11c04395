"""Protects one topic's audio: cut in every way the same samples, and stamps that never drift."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from installed_audio import needs_audio_stamped
from std_msgs.msg import Header

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.nodes.audio_input import AudioInput
from avatar_forcing_ros.nodes.convert_audio import CODE_OF_FORMAT, AudioFormat, samples_to_msg
from avatar_forcing_ros.sync.timeline import AudioTrack

pytestmark = [pytest.mark.either_audio, needs_audio_stamped]
START_NS = 1_700_000_000_123_456_789


def stamped(values, kind: str = "float32", rate: int = 16_000, channels: int = 1) -> Any:
    msg = samples_to_msg(np.asarray(values, np.float32), Header())
    if kind == "int16":
        steps = np.rint(np.asarray(values) * 32_768).astype(np.int16)
        msg.audio.audio_data.float32_data = []
        msg.audio.audio_data.int16_data = steps.tolist()
        msg.audio.info.format = CODE_OF_FORMAT["int16"]
    msg.audio.info.rate, msg.audio.info.channels = rate, channels
    return msg


def noise(count: int, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * 0.1).astype(np.float32)


def run(audio: np.ndarray, rate: int, cuts: list[int]) -> list[AudioChunk]:
    """`audio` pushed in pieces that end at `cuts`, and the rest that is held at the end."""
    receiver = AudioInput()
    out: list[AudioChunk] = []
    edges = [0, *sorted(cuts), len(audio)]
    for begin, end in itertools.pairwise(edges):
        if end > begin:
            stamp_ns = START_NS + begin * 1_000_000_000 // rate
            out += receiver.push(stamped(audio[begin:end], rate=rate), stamp_ns)
    assert (receiver.jumps, receiver.format_changes, receiver.sanitized_samples) == (0, 0, 0)
    return out + receiver.flush()


def joined(chunks: list[AudioChunk]) -> np.ndarray:
    return np.concatenate([chunk.samples for chunk in chunks])


@settings(deadline=None, max_examples=40)
@given(
    rate=st.sampled_from([4_000, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000]),
    cuts=st.lists(st.integers(0, 6_000), max_size=30),
)
def test_any_cutting_gives_the_same_audio(rate: int, cuts: list[int]) -> None:
    audio = noise(6_000)
    whole, pieces = run(audio, rate, []), run(audio, rate, cuts)
    assert np.array_equal(joined(whole), joined(pieces))
    assert abs(len(joined(whole)) - 6_000 * 16_000 / rate) <= 1
    given_out = 0
    for chunk in pieces:
        assert chunk.stamp_ns == START_NS + given_out * 62_500
        given_out += len(chunk.samples)


def test_16_khz_passes_bit_for_bit_at_once() -> None:
    audio = noise(1_000)
    receiver = AudioInput()
    (chunk,) = receiver.push(stamped(audio), START_NS)
    assert chunk.samples.tobytes() == audio.tobytes()
    assert receiver.flush() == []


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_stays_the_tone_that_it_was(rate: int) -> None:
    """Against the sine itself at 16 kHz; 0.15 ms early or late is allowed."""
    tone_hz = 300.0
    audio = 0.5 * np.sin(2 * np.pi * tone_hz * np.arange(rate) / rate)
    got = joined(run(audio.astype(np.float32), rate, list(range(0, rate, rate // 50))))
    expected = 0.5 * np.sin(2 * np.pi * tone_hz * np.arange(len(got)) / 16_000)
    inner = slice(1_000, -1_000)
    assert np.abs(got - expected)[inner].max() < 0.5 * 2 * np.pi * tone_hz * 0.15e-3


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_what_16_khz_cannot_hold_is_silent(rate: int) -> None:
    audio = 0.5 * np.sin(2 * np.pi * 9_500 * np.arange(rate) / rate)
    got = joined(run(audio.astype(np.float32), rate, [rate // 2]))
    assert np.abs(got[1_000:-1_000]).max() < 1e-4


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_little_is_held_back(rate: int) -> None:
    receiver = AudioInput()
    step = rate // 100
    worst = 0.0
    for i in range(100):
        stamp_ns = START_NS + i * step * 1_000_000_000 // rate
        for chunk in receiver.push(stamped(noise(step, i), rate=rate), stamp_ns):
            end_ns = chunk.stamp_ns + len(chunk.samples) * 62_500
        if i > 10:
            worst = max(worst, ((i + 1) * step * 1e9 / rate - (end_ns - START_NS)) / 1e6)
    assert worst < 35.0  # ms of audio, not of a clock


def test_an_older_soxr_serves_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = soxr.ResampleStream

    def older(in_rate, out_rate, num_channels, dtype="float32", quality="HQ"):
        return real(in_rate, out_rate, num_channels, dtype=dtype, quality=quality)

    monkeypatch.setattr(soxr, "ResampleStream", older)
    audio = noise(48_000)
    got = joined(run(audio, 48_000, [100, 20_000]))
    assert np.abs(got - soxr.resample(audio, 48_000, 16_000)).max() < 1e-6


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_ten_minutes_end_where_they_should(rate: int) -> None:
    receiver = AudioInput()
    step = rate // 50  # 20 ms
    silence = stamped(np.zeros(step, np.float32), rate=rate)
    count, end_ns = 0, 0
    for i in range(600 * 50):
        # a driver's stamps: right on the average, and up to 9 ms off
        stamp_ns = START_NS + i * 20_000_000 + (i * 7_919 % 9_000_000 if i else 0)
        for chunk in receiver.push(silence, stamp_ns):
            assert chunk.stamp_ns == START_NS + count * 62_500
            count += len(chunk.samples)
    for chunk in receiver.flush():
        count += len(chunk.samples)
        end_ns = chunk.stamp_ns + len(chunk.samples) * 62_500
    assert receiver.jumps == 0
    assert count == 600 * 16_000
    assert not end_ns or end_ns == START_NS + 600 * 1_000_000_000


@pytest.mark.parametrize("off_ns", [-300_000_000, -21_000_000, 21_000_000, 500_000_000])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_jump_of_stamps_begins_anew(rate: int, off_ns: int) -> None:
    audio = noise(rate // 10)
    receiver = AudioInput()
    first = receiver.push(stamped(audio, rate=rate), START_NS)
    later_ns = START_NS + 100_000_000 + off_ns
    *tail, begun = receiver.push(stamped(audio, rate=rate), later_ns)
    assert receiver.jumps == 1
    assert begun.stamp_ns == later_ns
    assert len(joined([*first, *tail])) == 1_600  # nothing of the old audio is lost
    assert np.array_equal(joined([begun, *receiver.flush()]), joined(run(audio, rate, [])))


def test_stamps_that_wander_are_followed_at_last() -> None:
    """A sound card 1 % too slow: stamps run ahead of the samples by 1 ms in 100."""
    receiver = AudioInput()
    worst = 0
    for i in range(100):
        stamp_ns = START_NS + i * 101_000_000
        for chunk in receiver.push(stamped(np.zeros(1_600, np.float32)), stamp_ns):
            worst = max(worst, abs(chunk.stamp_ns - stamp_ns))
    assert receiver.jumps == 4
    assert worst == 20_000_000


def test_times_of_arrival_may_jitter_more() -> None:
    receiver = AudioInput()
    receiver.push(stamped(noise(160)), START_NS, arrived=True)
    (chunk,) = receiver.push(stamped(noise(160)), START_NS + 150_000_000, arrived=True)
    assert receiver.jumps == 0
    assert chunk.stamp_ns == START_NS + 10_000_000


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize(("message_ms", "at_once"), [(20, 3), (100, 3), (500, 2)])
def test_what_arrives_several_at_once_has_no_holes(
    rate: int, message_ms: int, at_once: int
) -> None:
    """A microphone without stamps, whose driver sends some messages together."""
    receiver, track = AudioInput(), AudioTrack()
    count = message_ms * rate // 1000
    for k in range(3_000 // message_ms // at_once * at_once):
        arrival_ns = (k // at_once + 1) * at_once * message_ms * 1_000_000
        for chunk in receiver.push(
            stamped(np.full(count, 0.5, np.float32), rate=rate), arrival_ns, arrived=True
        ):
            track.push(chunk)
    begin = at_once * message_ms // 40 + 1
    output = track.take(3_000 // 40)[640 * begin :]
    assert (np.abs(output) > 0.4).all()
    assert track.filled_samples == track.dropped_samples == 0
    assert receiver.jumps == 0


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("counted", [True, False])
def test_speech_after_dropped_speech_does_not_wait_for_it(rate: int, counted: bool) -> None:
    """20 s handed over at once, stopped after 3 s; another comes a second later.

    Whether the break is known or not: no stamp is later than its message.
    """
    breaks, track = 0, AudioTrack(continuous=False)
    receiver = AudioInput(queued=True, breaks=lambda: breaks)
    step = rate // 10
    for k in range(200):
        message = stamped(np.full(step, 0.25, np.float32), rate=rate)
        for chunk in receiver.push(message, k * 1_000_000):
            track.push(chunk)
    assert np.count_nonzero(track.take(75)) == 75 * 640
    assert track.clear() > 16 * 16_000
    breaks += counted
    track.take(25)
    for k in range(5):
        message = stamped(np.full(step, 0.75, np.float32), rate=rate)
        for chunk in receiver.push(message, 4_000_000_000 + k * 100_000_000):
            track.push(chunk)
    output = track.take(14)
    loud = np.flatnonzero(np.abs(output) > 0.5)
    assert loud[0] < 0.04 * 16_000
    assert np.abs(output).max() < 1.0
    if counted:  # nor is anything left of the old one
        assert np.abs(output[: loud[0]]).max(initial=0) < 0.5


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_queued_speech_keeps_its_order(rate: int) -> None:
    """Sent without pause: stamps some microseconds apart, in pieces of any length."""
    rng = np.random.default_rng(3)
    receiver, stamps, count = AudioInput(queued=True), [], 0
    for k in range(400):
        message = stamped(noise(int(rng.integers(1, rate // 20))), rate=rate)
        for chunk in receiver.push(message, START_NS + k * 3_000):
            stamps.append(chunk.stamp_ns)
            count += len(chunk.samples)
    assert stamps == sorted(stamps)
    assert stamps[-1] <= START_NS + 400 * 3_000 + 100_000_000
    assert count > 16_000


def test_a_microphone_after_a_break_begins_with_its_own_stamp() -> None:
    breaks = 0
    receiver = AudioInput(breaks=lambda: breaks)
    receiver.push(stamped(noise(4_800), rate=48_000), START_NS)
    breaks = 1
    later_ns = START_NS - 7_000_000_000  # of a clock that went back
    (chunk,) = receiver.push(stamped(noise(4_800), rate=48_000), later_ns)
    assert chunk.stamp_ns == later_ns
    assert receiver.jumps == 0


def test_channels_that_cancel_each_other_out_are_not_lost() -> None:
    receiver = AudioInput()
    tone = 0.5 * np.sin(np.arange(16_000) * 0.1)
    audio = np.stack((tone, -tone), axis=1).ravel()
    output = joined(receiver.push(stamped(audio, channels=2), START_NS))
    assert receiver.cancelled
    assert np.allclose(output[2_000:], tone[2_000:], atol=1e-6)


def test_a_change_of_format_is_followed() -> None:
    audio = noise(4_800)
    receiver = AudioInput()
    before = receiver.push(stamped(audio, rate=48_000), START_NS)
    half = np.rint(audio[:1_600] * 32_768) / np.float32(32_768)
    *tail, after = receiver.push(stamped(half, "int16"), START_NS + 100_000_000)
    assert receiver.format == AudioFormat(16_000, 1, "int16")
    assert (receiver.format_changes, receiver.jumps) == (1, 0)
    assert len(joined([*before, *tail])) == 1_600
    assert after.stamp_ns == START_NS + 100_000_000
    assert np.array_equal(after.samples, half)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_does_not_stop_the_resampler(value: float) -> None:
    broken, clean = noise(9_600), noise(9_600)
    broken[100:103], clean[100:103] = value, 0.0
    receiver = AudioInput()
    got = [*receiver.push(stamped(broken, rate=48_000), START_NS), *receiver.flush()]
    assert receiver.sanitized_samples == 3
    assert np.array_equal(joined(got), joined(run(clean, 48_000, [])))


def test_what_is_no_number_passes_at_16_khz_for_the_timeline_to_count() -> None:
    receiver = AudioInput()
    inf = float("inf")
    (chunk,) = receiver.push(stamped([0.5, 0.5, float("nan"), 0.0, inf, -inf], channels=2), 0)
    assert chunk.samples[0] == 0.5
    assert np.isnan(chunk.samples[1:]).all()
    assert receiver.sanitized_samples == 0


def test_flush_makes_a_new_beginning() -> None:
    receiver = AudioInput()
    assert receiver.flush() == []
    receiver.push(stamped(noise(480), rate=48_000), START_NS)
    assert receiver.flush()
    assert receiver.flush() == []
    out = [*receiver.push(stamped(noise(480), rate=48_000), 7), *receiver.flush()]
    assert out[0].stamp_ns == 7
    assert (receiver.jumps, receiver.format_changes) == (0, 0)
