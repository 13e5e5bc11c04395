"""The running speech level: voice moves it, silence does not, loud stays loud."""

from __future__ import annotations

import numpy as np

from avatar_forcing_ros.model.mel_encoder import SILENCE
from avatar_forcing_ros.streaming.audio_window import AudioWindow, SpeechLevel


def voice(frames: int, level: float, seed: int = 0) -> np.ndarray:
    """Noise in syllables: 120 ms on, 80 ms off."""
    rng = np.random.default_rng(seed)
    on = (np.arange(frames) % 5 < 3).repeat(640)
    return (level * rng.standard_normal(frames * 640) * on).astype(np.float32)


def gains(level: SpeechLevel, samples: np.ndarray) -> np.ndarray:
    return np.array([level.update(frame) for frame in samples.reshape(-1, 640)])


def test_level_is_brought_to_the_target_from_far_away() -> None:
    for loud in (0.01, 0.3):
        level = SpeechLevel()
        gain = gains(level, voice(100, loud))
        reached_db = 20 * np.log10(gain[-1] * loud)
        assert abs(reached_db - level.target_db) < 4.0


def test_silence_does_not_move_the_gain() -> None:
    level = SpeechLevel()
    before = gains(level, voice(100, 0.1))[-1]
    hiss = 1e-4 * np.random.default_rng(1).standard_normal(640 * 250).astype(np.float32)
    assert gains(level, hiss)[-1] == before


def test_silence_stays_silent_after_loud_speech() -> None:
    window = AudioWindow()
    speech = window.push(voice(100, 0.3))[-200:]
    hiss = 1e-4 * np.random.default_rng(1).standard_normal(640 * 50).astype(np.float32)
    after = window.push(hiss)[-100:]
    assert after.mean() < speech.mean() - 1.0
    assert after.max() < speech.max() - 1.0


def test_digital_silence_is_the_floor() -> None:
    mel = AudioWindow().push(np.zeros(640 * 10, np.float32))
    assert mel.min() == mel.max() == np.float32(SILENCE)


def test_gain_is_causal() -> None:
    quiet, loud = voice(50, 0.05), voice(50, 0.4)
    alone = gains(SpeechLevel(), quiet)
    followed = gains(SpeechLevel(), np.concatenate((quiet, loud)))
    assert np.array_equal(alone, followed[:50])


def test_pieces_and_whole_agree() -> None:
    samples = voice(40, 0.1)
    whole = AudioWindow().push(samples)
    window = AudioWindow()
    pieces = [window.push(samples[k : k + 3200])[-20:] for k in range(0, len(samples), 3200)]
    assert np.abs(np.concatenate(pieces) - whole[28:]).max() < 1e-5
