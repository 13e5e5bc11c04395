"""Sound as it comes, block by block, to the windows that the two audio encoders want.

Arrays of a window are replaced, never written to, so a copy needs no copying.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.model.mel_encoder import (
    HISTORY_SAMPLES,
    MelEncoder,
    log_mel,
    mel_power,
    silent_mel,
)
from avatar_forcing_ros.streaming.speech_level import SpeechLevel
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

WAVE_FRAMES = 60
"""The speech encoder hears 2.4 s at a time."""
UNIT_VARIANCE = 10.0
"""From the level that `SpeechLevel` brings voice to, -20 dB, to the unit variance that wav2vec 2.0
was trained on."""


class SoundWindow(Protocol):
    """The recent past of one sound stream."""

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of sound ``[640 T]``; what the encoder is to be given."""

    def clone(self) -> SoundWindow:
        """An independent copy."""


def sound_window(config: ModelConfig) -> SoundWindow:
    """A window before the first sound, for the audio encoder of `config`."""
    return WaveWindow() if config.audio_encoder == "wav2vec2" else MelWindow()


@dataclass
class MelWindow:
    """Log-mel of the newest frames and of as many before as the encoder reaches back."""

    level: SpeechLevel = field(default_factory=SpeechLevel)
    samples: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(HISTORY_SAMPLES, np.float32)
    )
    mel: NDArray[np.float32] = field(default_factory=lambda: silent_mel(MelEncoder.HISTORY_FRAMES))

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of sound ``[640 T]``; the encoder's input ``[4 (7 + T), 80]``."""
        frames = samples.reshape(-1, SAMPLES_PER_FRAME)  # [T, 640]
        gain = np.array([self.level.update(frame) for frame in frames], np.float32)
        heard = np.concatenate((self.samples, samples))
        window = np.concatenate((self.mel, log_mel(mel_power(heard), gain)))
        self.samples = heard[-HISTORY_SAMPLES:]
        self.mel = window[-len(self.mel) :]
        return window

    def clone(self) -> MelWindow:
        """An independent copy."""
        return MelWindow(copy.copy(self.level), self.samples, self.mel)


@dataclass
class WaveWindow:
    """The newest 2.4 s of sound, brought to unit variance by the running speech level.

    The gain moves linearly from frame to frame, so no step is heard in it.
    """

    level: SpeechLevel = field(default_factory=SpeechLevel)
    samples: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(WAVE_FRAMES * SAMPLES_PER_FRAME, np.float32)
    )
    gain: float = 1.0  # of the newest frame

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of sound ``[640 T]``; the window ``[640 max(60, T)]``."""
        levelled = [self._levelled(f) for f in samples.reshape(-1, SAMPLES_PER_FRAME)]
        heard = np.concatenate((self.samples, *levelled))
        window = heard[-max(len(self.samples), len(samples)) :]
        self.samples = window[-len(self.samples) :]
        return window

    def _levelled(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        before, self.gain = self.gain, self.level.update(frame) * UNIT_VARIANCE
        ramp = np.linspace(before, self.gain, SAMPLES_PER_FRAME + 1, dtype=np.float32)[1:]
        return frame * ramp

    def clone(self) -> WaveWindow:
        """An independent copy."""
        return WaveWindow(copy.copy(self.level), self.samples, self.gain)
