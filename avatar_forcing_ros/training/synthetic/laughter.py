"""Laughter: a train of breathy "ha" calls, a glottal pulse train through vowel resonances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.speech import Phoneme, Utterance, Voice, set_level

_FORMANTS = (
    (720.0, 110.0),
    (1250.0, 130.0),
    (2600.0, 200.0),
    (3500.0, 280.0),
    (4500.0, 350.0),
    (5500.0, 400.0),
    (6500.0, 450.0),
)  # Hz, bandwidth


def laugh(rng: np.random.Generator, voice: Voice) -> Utterance:
    """A burst of laughter by `voice`; its phonemes are "h" and "a" in turn."""
    calls = int(rng.integers(stats.LAUGH_CALLS[0], stats.LAUGH_CALLS[1] + 1))
    period_s = 1.0 / rng.uniform(*stats.LAUGH_CALLS_PER_S)
    pitch_hz = (110.0 + 2.6 * voice.pitch) * voice.vocal_tract_factor * rng.uniform(1.1, 1.6)
    pieces: list[NDArray[np.float64]] = []
    phonemes: list[Phoneme] = []
    now_s = 0.0
    for i in range(calls):
        breath_s = period_s * rng.uniform(0.35, 0.50)
        voiced_s = period_s * rng.uniform(0.45, 0.60)
        level = 0.93**i * rng.uniform(0.8, 1.2)
        call = _call(rng, breath_s, voiced_s, pitch_hz * 0.97**i * rng.uniform(0.95, 1.05))
        pieces.append(level * call)
        phonemes.append((now_s, now_s + breath_s, "h"))
        now_s += len(call) / SAMPLE_RATE_HZ
        phonemes.append((phonemes[-1][1], now_s, "a"))
    wave = np.concatenate(pieces)
    for hz, width_hz in _FORMANTS:
        wave = _resonate(wave, hz * voice.vocal_tract_factor, width_hz)
    wave = np.diff(wave, prepend=0.0)  # sound radiates from the lips as the change of the flow
    samples = set_level(wave.astype(np.float32), stats.SPEECH_LEVEL_DBFS)
    return Utterance(samples, tuple(phonemes), "(laughs)")


def _call(
    rng: np.random.Generator, breath_s: float, voiced_s: float, pitch_hz: float
) -> NDArray[np.float64]:
    breath, voiced = int(breath_s * SAMPLE_RATE_HZ), int(voiced_s * SAMPLE_RATE_HZ)
    fall = np.linspace(1.08, 0.85, voiced)
    phase = np.cumsum(pitch_hz * fall) / SAMPLE_RATE_HZ
    pulses = np.r_[np.zeros(breath), np.diff(np.floor(phase), prepend=0.0) * np.hanning(voiced)]
    pulses = lfilter([1.0], [1.0, -0.95], pulses)  # the glottis' fall of about 6 dB/octave
    noise = 0.05 * rng.normal(size=breath + voiced)
    noise *= np.r_[np.hanning(2 * breath)[:breath] ** 0.5, np.linspace(1.0, 0.15, voiced)]
    return pulses + noise


def _resonate(wave: NDArray[np.float64], hz: float, width_hz: float) -> NDArray[np.float64]:
    radius = np.exp(-np.pi * width_hz / SAMPLE_RATE_HZ)
    angle = 2 * np.pi * min(hz, 7500.0) / SAMPLE_RATE_HZ
    poles = [1.0, -2 * radius * np.cos(angle), radius**2]
    return lfilter([sum(poles)], poles, wave)
