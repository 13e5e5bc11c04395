"""Audio as it comes, block by block, to the windows that the two audio encoders take.

A running estimate of the speech level, which only speech can move, sets their gain: dividing each
window by its own variance instead would amplify pauses until the avatar babbles.

Arrays of a window are replaced, never written to, so a copy needs no copying.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.model.audio_encoders import (
    HISTORY_SAMPLES,
    MelEncoder,
    log_mel,
    mel_power,
    silent_mel,
)
from avatar_forcing_ros.timebase import FRAME_PERIOD_S, SAMPLES_PER_FRAME

SILENCE_DB = -100.0


@dataclass
class SpeechLevel:
    """Running level of the speech in a stream, one update per video frame, causal.

    The noise floor falls at once and rises slowly; a frame well above it is speech. The level
    follows loud frames faster than soft ones, so it stands near the level of stressed speech.
    """

    target_db: float = -20.0
    level_db: float = -24.0
    floor_db: float = -60.0
    voiced_frames: int = 0
    voiced: bool = False
    """Whether the newest frame was speech."""

    GATE_DB = 12.0
    MIN_SPEECH_DB = -55.0
    FLOOR_RISE_DB_PER_S = 3.0
    RISE, FALL = 0.15, 0.02
    WARM_UP_FRAMES = 12
    GAIN_LIMIT_DB = 30.0

    def update(self, frame: NDArray[np.float32]) -> float:
        """Take one frame of audio ``[640]`` and return the amplitude gain to apply to it."""
        power = float(np.mean(np.square(frame, dtype=np.float64)))
        now_db = max(SILENCE_DB, 10.0 * math.log10(power + 1e-12))
        risen = self.floor_db + self.FLOOR_RISE_DB_PER_S * FRAME_PERIOD_S
        self.floor_db = min(risen, max(now_db, -70.0))
        self.voiced = now_db > max(self.floor_db + self.GATE_DB, self.MIN_SPEECH_DB)
        if self.voiced:
            self.voiced_frames += 1
            rate = self.RISE if now_db > self.level_db else self.FALL
            if self.voiced_frames <= self.WARM_UP_FRAMES:
                rate = max(rate, 0.25)
            self.level_db += rate * (now_db - self.level_db)
        gain_db = self.target_db - self.level_db
        return 10.0 ** (max(-self.GAIN_LIMIT_DB, min(self.GAIN_LIMIT_DB, gain_db)) / 20.0)


WAVE_FRAMES = 60
"""The speech encoder takes 2.4 s at a time."""
UNIT_VARIANCE = 10.0
"""Gain from the target of `SpeechLevel`, -20 dB, to the unit variance that wav2vec 2.0 takes."""


@dataclass
class AudioWindow(ABC):
    """The recent past of one audio stream."""

    level: SpeechLevel = field(default_factory=SpeechLevel)

    @abstractmethod
    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of audio ``[640 T]``; returns the encoder's input."""

    def clone(self) -> AudioWindow:
        """An independent copy."""
        return replace(self, level=copy.copy(self.level))


@dataclass
class MelWindow(AudioWindow):
    """Log-mel of the newest frames and of as many before as the encoder reaches back."""

    samples: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(HISTORY_SAMPLES, np.float32)
    )
    mel: NDArray[np.float32] = field(default_factory=lambda: silent_mel(MelEncoder.HISTORY_FRAMES))

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of audio ``[640 T]``; the encoder's input ``[4 (7 + T), 80]``."""
        frames = samples.reshape(-1, SAMPLES_PER_FRAME)  # [T, 640]
        gain = np.array([self.level.update(frame) for frame in frames], np.float32)
        recent = np.concatenate((self.samples, samples))
        window = np.concatenate((self.mel, log_mel(mel_power(recent), gain)))
        self.samples = recent[-HISTORY_SAMPLES:]
        self.mel = window[-len(self.mel) :]
        return window


@dataclass
class WaveWindow(AudioWindow):
    """The newest 2.4 s of audio, brought to unit variance by the running speech level.

    The gain moves linearly from frame to frame, so there is no step in it.
    """

    samples: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(WAVE_FRAMES * SAMPLES_PER_FRAME, np.float32)
    )
    gain: float = 1.0  # of the newest frame

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of audio ``[640 T]``; the window ``[640 max(60, T)]``."""
        levelled = [self._levelled(f) for f in samples.reshape(-1, SAMPLES_PER_FRAME)]
        recent = np.concatenate((self.samples, *levelled))
        window = recent[-max(len(self.samples), len(samples)) :]
        self.samples = window[-len(self.samples) :]
        return window

    def _levelled(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        before, self.gain = self.gain, self.level.update(frame) * UNIT_VARIANCE
        ramp = np.linspace(before, self.gain, SAMPLES_PER_FRAME + 1, dtype=np.float32)[1:]
        return frame * ramp


def new_audio_window(config: ModelConfig) -> AudioWindow:
    """A window before the first audio, for the audio encoder of `config`."""
    return WaveWindow() if config.audio_encoder == "wav2vec2" else MelWindow()
