"""Turns are found by voice and pauses, whatever the level, and however the audio comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.responder.turn_detection import (
    MAX_TURN_S,
    TurnBegan,
    TurnDetector,
    TurnEnded,
    TurnEvent,
)
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]


def silence(duration_s: float) -> Audio:
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)


def voice(duration_s: float, gain: float = 0.2) -> Audio:
    """A buzz with syllables, four a second, without gaps longer than a consonant's."""
    at_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 120 * k * at_s) / k for k in range(1, 12))
    return np.asarray(gain * buzz * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * at_s)), np.float32)


def noise(samples: int, gain: float) -> Audio:
    return np.asarray(gain * np.random.default_rng(0).standard_normal(samples), np.float32)


def turns(
    audio: Audio,
    detector: TurnDetector | None = None,
    *,
    avatar_s: tuple[float, float] = (0.0, 0.0),
    chunk_samples: int = 320,
) -> list[tuple[float, TurnEvent]]:
    """Events, and when each came, in seconds; the avatar speaks from `avatar_s` on and until."""
    detector = detector or TurnDetector(0.7)
    found = []
    for start in range(0, len(audio), chunk_samples):
        at_s = start / SAMPLE_RATE_HZ
        chunk = AudioChunk(
            audio[start : start + chunk_samples], SAMPLE_RATE_HZ, round(at_s * 1e9) + 12_345
        )
        speaks = avatar_s[0] <= at_s < avatar_s[1]
        found += [(at_s, event) for event in detector.push(chunk, avatar_speaks=speaks)]
    return found


def kinds(found: list[tuple[float, TurnEvent]]) -> list[type]:
    return [type(event) for _, event in found]


@pytest.mark.parametrize("gain", [0.5, 0.05, 0.01])
@pytest.mark.parametrize("noise_gain", [0.0, 0.0005])
def test_a_turn_begins_with_the_voice_and_ends_with_a_pause(
    gain: float, noise_gain: float
) -> None:
    audio = np.concatenate([silence(1), voice(2, gain), silence(0.4), voice(1, gain), silence(2)])
    found = turns(audio + noise(len(audio), noise_gain))
    assert kinds(found) == [TurnBegan, TurnEnded]
    (began_s, began), (ended_s, ended) = found
    assert began == TurnBegan(interrupts=False)
    assert began_s == pytest.approx(1.2, abs=0.2)
    assert ended_s == pytest.approx(4.4 + 0.7, abs=0.2)
    assert isinstance(ended, TurnEnded)
    # nothing of what was said is missing: it begins before the voice does
    assert 0.5 < ended_s - len(ended.samples) / SAMPLE_RATE_HZ <= 1.0


def test_what_is_found_does_not_depend_on_the_pieces_it_comes_in() -> None:
    audio = np.concatenate([silence(1), voice(1), silence(1), voice(1), silence(1)])
    whole = turns(audio, chunk_samples=len(audio))
    pieces = turns(audio, chunk_samples=777)
    assert kinds(whole) == kinds(pieces) == [TurnBegan, TurnEnded] * 2
    for (_, one), (_, other) in zip(whole, pieces, strict=True):
        if isinstance(one, TurnEnded) and isinstance(other, TurnEnded):
            np.testing.assert_array_equal(one.samples, other.samples)


def test_clicks_and_steady_noise_are_no_turn() -> None:
    click = silence(3)
    click[16_000:16_400] = 0.8
    assert turns(click) == []
    assert turns(noise(5 * SAMPLE_RATE_HZ, 0.01)) == []
    muted_at_first = np.concatenate([silence(1), noise(5 * SAMPLE_RATE_HZ, 0.01)])
    assert turns(muted_at_first) == []
    broken = np.full(16_000, np.nan, np.float32)
    assert turns(broken) == []


def test_only_a_clear_voice_interrupts_the_avatar() -> None:
    spoken = np.concatenate([silence(1), voice(2), silence(2)])
    echo = np.concatenate([spoken, voice(3, 0.01), silence(1)])
    echo += noise(len(echo), 0.001)
    assert kinds(turns(echo, avatar_s=(5, 8))) == [TurnBegan, TurnEnded]
    audio = np.concatenate([spoken, voice(3, 0.01), voice(2), silence(1)])
    audio += noise(len(audio), 0.001)
    found = turns(audio, avatar_s=(5, 12))
    assert [event for _, event in found if isinstance(event, TurnBegan)][1:] == [TurnBegan(True)]
    assert found[2][0] == pytest.approx(8.2, abs=0.15)  # some 200 ms of voice


def test_what_the_avatar_says_meanwhile_does_not_lengthen_a_turn() -> None:
    audio = np.concatenate([silence(1), voice(2), voice(3, 0.01), silence(1)])
    audio += noise(len(audio), 0.001)
    (_, began), (ended_s, ended) = turns(audio, avatar_s=(2.5, 7))
    assert isinstance(began, TurnBegan)
    assert isinstance(ended, TurnEnded)
    assert ended_s == pytest.approx(3.7, abs=0.2)


def test_somebody_in_a_room_is_heard() -> None:
    """The speech of the demonstration's person: one goes on for ten seconds."""
    path = Path(__file__).parents[2] / "models" / "demo" / "user_speech.wav"
    samples, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    found = turns(samples)
    assert kinds(found) == [TurnBegan, TurnEnded]
    assert [at_s for at_s, _ in found] == pytest.approx([11.2, 21.1], abs=0.3)


def test_without_barge_in_the_user_is_not_heard_while_the_avatar_speaks() -> None:
    audio = np.concatenate([silence(1), voice(2), silence(2), voice(1), silence(1)])
    found = turns(audio, TurnDetector(0.7, barge_in=False), avatar_s=(0.5, 4))
    assert kinds(found) == [TurnBegan, TurnEnded]
    assert found[0][0] > 5.0


def test_a_turn_without_a_pause_ends_after_half_a_minute() -> None:
    found = turns(np.concatenate([silence(1), voice(MAX_TURN_S + 2), silence(1)]))
    assert kinds(found) == [TurnBegan, TurnEnded] * 2
    first = found[1][1]
    assert isinstance(first, TurnEnded)
    assert len(first.samples) == MAX_TURN_S * SAMPLE_RATE_HZ


def test_what_did_not_come_is_a_pause() -> None:
    detector = TurnDetector(0.7)
    spoken = np.concatenate([silence(1), voice(1)])
    assert kinds(turns(spoken, detector)) == [TurnBegan]
    later = AudioChunk(silence(0.02), SAMPLE_RATE_HZ, 4_000_000_000)
    assert [type(event) for event in detector.push(later, avatar_speaks=False)] == [TurnEnded]
    assert not detector.in_turn
    # a jump of the clock ends it as well, and so does whoever knows that nothing comes
    for stamp_ns in (-60_000_000_000, 60_000_000_000):
        detector = TurnDetector(0.7)
        turns(spoken, detector)
        jumped = AudioChunk(silence(0.02), SAMPLE_RATE_HZ, stamp_ns)
        assert len(detector.push(jumped, avatar_speaks=False)) == 1
    turns(spoken, detector)
    assert detector.in_turn
    assert len(detector.end()) == 1
    assert detector.end() == []
