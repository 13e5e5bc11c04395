"""From audio to the speech in it: mel power without rumble and tones, and the gain to hear it by.

One way for all: the compact model in training and live, and the meter of who is talking.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.model.audio_encoders import (
    FFT_SAMPLES,
    HISTORY_SAMPLES,
    WINDOW_POWER,
    mel_power,
    power_of,
    spectra,
)
from avatar_forcing_ros.streaming.speech_level import CleanSpeechLevel
from avatar_forcing_ros.streaming.tone_removal import BINS, HighPass, ToneRemoval

_SINGLE_DB = -20.0  # single tones are looked for from here up, under the level of speech
_TONAL_SHARE = 0.7  # of the power was tones: nobody speaks
_AUDIBLE_DB = -74.0
_PITCH_LAGS = slice(40, 200)  # samples at 16 kHz: 80 to 400 Hz
_PITCH_BINS = slice(3, 128)  # 90 Hz to 4 kHz
_PERIODIC = 0.16  # autocorrelation of voices: 0.2 and more; of noise of any colour: up to 0.13


class HeardFrame(NamedTuple):
    """The speech in one video frame of audio."""

    mel_power: NDArray[np.float32]  # [4, 80]
    gain: float  # amplitude, to the usual level
    rms: float  # before the gain
    voiced: bool  # whether there is any


@dataclass(frozen=True)
class SpeechFrontEnd:
    """Between two video frames of one audio stream: an immutable value."""

    samples: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(HISTORY_SAMPLES, np.float32)
    )
    high_pass: HighPass = field(default_factory=HighPass)
    tones: ToneRemoval = field(default_factory=ToneRemoval)
    level: CleanSpeechLevel = field(default_factory=CleanSpeechLevel)

    def hear(self, frame: NDArray[np.float32]) -> tuple[HeardFrame, SpeechFrontEnd]:
        """Take one frame of audio ``[640]``; also the front end after it."""
        filtered, high_pass = self.high_pass.apply(frame)
        recent = np.concatenate((self.samples, filtered))
        spectrum = spectra(recent)
        power = power_of(spectrum)  # [4, 257]
        loud = BINS * WINDOW_POWER * 10.0 ** ((self.level.level_db + _SINGLE_DB) / 10.0)
        kept, tones = self.tones.apply(spectrum, power, loud)
        share = float(kept.sum()) / (float(power.sum()) + 1e-20)
        exact = filtered.astype(np.float64)
        heard = float(exact @ exact) / len(exact)
        level = copy.copy(self.level)
        if share < 1.0 - _TONAL_SHARE and heard > 10.0 ** (_AUDIBLE_DB / 10.0):
            level.take_back()
        else:
            level.follow(heard * share, is_voice=_is_periodic(kept.sum(axis=0)))
        after = SpeechFrontEnd(recent[-HISTORY_SAMPLES:], high_pass, tones, level)
        rms = float(np.sqrt(heard * share))
        return HeardFrame(mel_power(kept), level.gain, rms, level.voiced), after


def _is_periodic(power: NDArray[np.float32]) -> bool:
    """Whether a spectrum ``[257]`` has the harmonics of a voice."""
    # the root flattens formants and the colour of noise
    root = np.zeros(BINS, np.float32)
    root[_PITCH_BINS] = np.sqrt(power[_PITCH_BINS])
    correlation = np.fft.irfft(root, FFT_SAMPLES)
    return bool(correlation[_PITCH_LAGS].max() > _PERIODIC * correlation[0])
