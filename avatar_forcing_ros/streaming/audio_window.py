"""Audio as it comes, block by block, to the windows that the two audio encoders take.

A running estimate of the speech level, which only speech can move, sets their gain: dividing each
window by its own variance instead would amplify pauses until the avatar babbles. The compact model
hears through `SpeechFrontEnd`; the released one, which learned without, gets the audio as it is.

Arrays of a window are replaced, never written to, so a copy needs no copying.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.model.audio_encoders import MelEncoder, log_mel, silent_mel
from avatar_forcing_ros.streaming.speech_front_end import SpeechFrontEnd
from avatar_forcing_ros.streaming.speech_level import SpeechLevel
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

WAVE_FRAMES = 60
"""The speech encoder takes 2.4 s at a time."""
UNIT_VARIANCE = 10.0
"""Gain from the target of `SpeechLevel`, -20 dB, to the unit variance that wav2vec 2.0 takes."""


@dataclass
class AudioWindow(ABC):
    """The recent past of one audio stream."""

    @abstractmethod
    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of audio ``[640 T]``; returns the encoder's input."""

    def clone(self) -> AudioWindow:
        """An independent copy."""
        return replace(self)


@dataclass
class MelWindow(AudioWindow):
    """Log-mel of the newest frames and of as many before as the encoder reaches back."""

    front_end: SpeechFrontEnd = field(default_factory=SpeechFrontEnd)
    mel: NDArray[np.float32] = field(default_factory=lambda: silent_mel(MelEncoder.HISTORY_FRAMES))

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next T frames of audio ``[640 T]``; the encoder's input ``[4 (7 + T), 80]``."""
        mels = []
        for frame in samples.reshape(-1, SAMPLES_PER_FRAME):
            heard, self.front_end = self.front_end.hear(frame)
            mels.append(log_mel(heard.mel_power, heard.gain))
        window = np.concatenate((self.mel, *mels))
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
    level: SpeechLevel = field(default_factory=SpeechLevel)

    def clone(self) -> WaveWindow:
        """An independent copy."""
        return replace(self, level=copy.copy(self.level))

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
