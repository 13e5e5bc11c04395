"""The running speech level: speech moves it, silence does not, loud stays loud."""

from __future__ import annotations

import numpy as np

from avatar_forcing_ros.model.audio_encoders import SILENCE
from avatar_forcing_ros.streaming.audio_window import MelWindow, WaveWindow
from avatar_forcing_ros.streaming.speech_level import SpeechLevel


def speech_like(frames: int, level: float, seed: int = 0) -> np.ndarray:
    """Noise in syllables: 120 ms on, 80 ms off."""
    rng = np.random.default_rng(seed)
    on = (np.arange(frames) % 5 < 3).repeat(640)
    return (level * rng.standard_normal(frames * 640) * on).astype(np.float32)


def gains(level: SpeechLevel, samples: np.ndarray) -> np.ndarray:
    return np.array([level.update(frame) for frame in samples.reshape(-1, 640)])


def test_level_is_brought_to_the_target_from_far_away() -> None:
    for loud in (0.01, 0.3):
        level = SpeechLevel()
        gain = gains(level, speech_like(100, loud))
        reached_db = 20 * np.log10(gain[-1] * loud)
        assert abs(reached_db - level.target_db) < 4.0


def test_silence_does_not_move_the_gain() -> None:
    level = SpeechLevel()
    before = gains(level, speech_like(100, 0.1))[-1]
    hiss = 1e-4 * np.random.default_rng(1).standard_normal(640 * 250).astype(np.float32)
    assert gains(level, hiss)[-1] == before


def test_silence_stays_silent_after_loud_speech() -> None:
    window = MelWindow()
    speech = window.push(speech_like(100, 0.3))[-200:]
    hiss = 1e-4 * np.random.default_rng(1).standard_normal(640 * 50).astype(np.float32)
    after = window.push(hiss)[-100:]
    assert after.mean() < speech.mean() - 1.0
    assert after.max() < speech.max() - 1.0


def test_digital_silence_is_the_floor() -> None:
    mel = MelWindow().push(np.zeros(640 * 10, np.float32))
    assert mel.min() == mel.max() == np.float32(SILENCE)


def test_gain_is_causal() -> None:
    quiet, loud = speech_like(50, 0.05), speech_like(50, 0.4)
    alone = gains(SpeechLevel(), quiet)
    followed = gains(SpeechLevel(), np.concatenate((quiet, loud)))
    assert np.array_equal(alone, followed[:50])


def test_pieces_and_whole_agree() -> None:
    samples = speech_like(40, 0.1)
    whole = MelWindow().push(samples)
    window = MelWindow()
    pieces = [window.push(samples[k : k + 3200])[-20:] for k in range(0, len(samples), 3200)]
    assert np.abs(np.concatenate(pieces) - whole[28:]).max() < 1e-5


def test_the_wave_window_brings_any_voice_to_unit_variance() -> None:
    for level in (0.01, 0.3):
        window = WaveWindow()
        for k in range(0, 150, 10):
            output = window.push(speech_like(150, level)[640 * k : 640 * (k + 10)])
        assert output.shape == (60 * 640,)
        assert 0.4 < float(np.std(output)) < 1.6


def test_silence_stays_silent_after_loud_speech_in_the_wave_window() -> None:
    window = WaveWindow()
    window.push(speech_like(100, 0.3))
    hiss = (1e-4 * np.random.default_rng(3).standard_normal(100 * 640)).astype(np.float32)
    output = window.push(hiss)[-60 * 640 :]
    assert float(np.std(output)) < 0.01


def test_the_waves_gain_has_no_steps() -> None:
    """A constant tone of the level of speech: neighbouring frames join without a jump."""
    tone = (0.05 * np.sin(np.arange(60 * 640) * 2 * np.pi / 64)).astype(np.float32)
    window = WaveWindow()
    output = np.concatenate([window.push(tone[640 * k : 640 * (k + 1)])[-640:] for k in range(60)])
    at_borders = np.abs(np.diff(output))[639::640]
    inside = np.abs(np.diff(output)).max()
    assert at_borders.max() <= inside


def test_a_step_of_the_gain_is_spread_over_its_frame() -> None:
    """From the last frame's gain to the new one's, evenly from sample to sample."""
    window = WaveWindow()
    for loudness in (0.01, 0.01, 0.3, 0.3, 0.02):
        before = window.gain
        frame = np.full(640, loudness, np.float32)
        gain = window.push(frame)[-640:] / frame
        assert abs(gain[-1] / before - 1.0) > 0.02
        np.testing.assert_allclose(gain[-1], window.gain, rtol=1e-5)
        expected = before + (window.gain - before) * np.arange(1, 641) / 640
        np.testing.assert_allclose(gain, expected, rtol=1e-4)


def test_the_wave_window_of_parts_is_that_of_the_whole() -> None:
    audio = speech_like(100, 0.1)
    window = WaveWindow()
    for k in range(0, 100, 10):
        part = window.push(audio[640 * k : 640 * (k + 10)])
    whole = WaveWindow().push(audio)
    np.testing.assert_array_equal(part, whole[-len(part) :])
    copy = window.clone()
    copy.push(audio)
    assert np.array_equal(window.samples, part)


def test_a_first_block_longer_than_the_window_is_given_whole() -> None:
    assert WaveWindow().push(speech_like(70, 0.1)).shape == (70 * 640,)
