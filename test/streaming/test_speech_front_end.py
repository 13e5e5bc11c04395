"""Rumble and tones do not reach the network, clean speech does, and quiet speech is brought up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.model.audio_encoders import SILENCE
from avatar_forcing_ros.streaming.audio_window import MelWindow
from avatar_forcing_ros.streaming.speech_front_end import HeardFrame, SpeechFrontEnd
from avatar_forcing_ros.streaming.tone_removal import HighPass

VOICE = Path(__file__).parent.parent / "data" / "unseen_voice.wav"
SECOND = 16_000


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    samples = read_audio(VOICE)
    return samples[: len(samples) // 640 * 640]


def tone(hz: float, amplitude: float, seconds: float = 4.0) -> np.ndarray:
    times_s = np.arange(round(seconds * SECOND)) / SECOND
    return (amplitude * np.sin(2 * np.pi * hz * times_s)).astype(np.float32)


def hum(amplitude: float, mains_hz: float, seconds: float = 4.0) -> np.ndarray:
    """The mains and its harmonics to 400 Hz."""
    parts = (1.0, 0.6, 0.5, 0.25, 0.3, 0.15, 0.2, 0.1)
    return sum(tone(mains_hz * (k + 1), amplitude * g, seconds) for k, g in enumerate(parts))


def mel(samples: np.ndarray) -> np.ndarray:
    return MelWindow().push(samples.astype(np.float32))[28:]


def heard(samples: np.ndarray) -> list[HeardFrame]:
    front_end, out = SpeechFrontEnd(), []
    for frame in samples.astype(np.float32).reshape(-1, 640):
        one, front_end = front_end.hear(frame)
        out.append(one)
    return out


def test_the_high_pass_in_pieces_is_that_of_the_whole(voice: np.ndarray) -> None:
    whole, _ = HighPass().apply(voice)
    state, pieces = HighPass(), []
    for k in range(0, len(voice), 160):
        piece, state = state.apply(voice[k : k + 160])
        pieces.append(piece)
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


@pytest.mark.parametrize(("hz", "gain"), [(10.0, 0.001), (50.0, 0.194), (75.0, 0.707), (300.0, 1)])
def test_the_high_pass_is_the_stated_one(hz: float, gain: float) -> None:
    filtered, _ = HighPass().apply(tone(hz, 0.5))
    assert np.std(filtered[SECOND:]) * np.sqrt(2) / 0.5 == pytest.approx(gain, abs=0.005)


def test_features_in_blocks_are_bit_for_bit_those_of_the_whole(voice: np.ndarray) -> None:
    noisy = voice + hum(0.02, 50.0, len(voice) / SECOND)
    window, parts = MelWindow(), []
    for k in range(0, len(noisy), 1920):
        parts.append(window.push(noisy[k : k + 1920])[28:])
    assert np.concatenate(parts).tobytes() == mel(noisy).tobytes()


def test_a_copy_of_a_window_goes_on_alone(voice: np.ndarray) -> None:
    window = MelWindow()
    window.push(voice[:SECOND])
    copy = window.clone()
    window.push(0.01 * voice[SECOND : 2 * SECOND])
    fresh = MelWindow()
    fresh.push(voice[:SECOND])
    after = slice(SECOND, 3 * SECOND)
    assert copy.push(voice[after]).tobytes() == fresh.push(voice[after]).tobytes()


@pytest.mark.parametrize("hz", [50.0, 60.0, 100.0, 200.0, 440.0, 1000.0, 3000.0])
def test_a_pure_tone_is_silence_and_moves_no_level(hz: float) -> None:
    frames = heard(tone(hz, 0.05))[25:]
    assert not any(frame.voiced for frame in frames)
    assert {frame.gain for frame in frames} == {SpeechFrontEnd().level.gain}
    assert mel(tone(hz, 0.05))[100:].max() == pytest.approx(SILENCE, abs=1e-3)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_with_harmonics_is_silence(mains_hz: float) -> None:
    frames = heard(hum(0.03, mains_hz))[25:]
    assert not any(frame.voiced for frame in frames)
    assert {frame.gain for frame in frames} == {SpeechFrontEnd().level.gain}
    assert mel(hum(0.03, mains_hz))[100:].max() == pytest.approx(SILENCE, abs=1e-3)


def test_a_constant_offset_changes_nothing_in_speech(voice: np.ndarray) -> None:
    after = 100  # the step at the start is a click
    assert np.abs(mel(voice + 0.05)[after:] - mel(voice)[after:]).mean() < 0.01


def test_hum_does_not_come_back_between_words(voice: np.ndarray) -> None:
    quiet = np.concatenate((np.zeros(SECOND, np.float32), voice[: 2 * SECOND]))
    clip = np.concatenate((quiet, np.zeros(SECOND // 5 * 4, np.float32)))
    clip = clip[: len(clip) // 640 * 640]
    noisy = mel(clip + hum(0.01, 50.0, len(clip) / SECOND))
    clean = mel(clip)
    pause = slice(3 * 100 + 5, 3 * 100 + 35)  # before the hum's phases are known again
    assert np.abs(noisy[pause] - clean[pause]).mean() < 0.2  # 0.33 where its power is forgotten


def test_a_clean_voice_loses_no_part_to_tone_removal(voice: np.ndarray) -> None:
    """Of what is above the high-pass, next to nothing is taken for a tone."""
    filtered, _ = HighPass().apply(voice)
    before = np.sqrt(np.mean(filtered.reshape(-1, 640) ** 2, axis=1))
    after = np.array([frame.rms for frame in heard(voice)])
    loud = before > 0.01
    assert (after[loud] / before[loud]).min() > 0.98


@pytest.mark.parametrize("level_db", [-30.0, -45.0, -60.0])
def test_quiet_speech_is_heard_as_loud_speech_is(voice: np.ndarray, level_db: float) -> None:
    factor = 10 ** ((level_db + 23.0) / 20)
    quiet, usual = heard(factor * voice), heard(voice)
    ratio_db = [20 * np.log10(q.gain * factor / u.gain) for q, u in zip(quiet, usual, strict=True)]
    assert np.abs(ratio_db[75:]).max() < 5.0


def test_a_drop_by_30_db_is_followed(voice: np.ndarray) -> None:
    half = len(voice) // 1280 * 640
    dropped = voice.copy()
    dropped[half:] *= 10 ** (-30 / 20)
    gain = [20 * np.log10(frame.gain) for frame in heard(dropped)]
    assert gain[half // 640 + 50] - gain[half // 640 - 1] > 15.0


@pytest.mark.parametrize("level_db", [-60.0, -50.0, -40.0, -30.0])
def test_noise_alone_is_never_made_louder(level_db: float) -> None:
    hiss = 10 ** (level_db / 20) * np.random.default_rng(0).standard_normal(SECOND * 8)
    before = SpeechFrontEnd().level.gain
    assert max(frame.gain for frame in heard(hiss)) <= before
