"""Sound as it comes, block by block, to the log-mel window that the encoder wants.

The level is normalised by a running estimate of the *speech* level, which only voice can move.
Dividing each window by its own variance instead would amplify pauses until the avatar babbles.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.model.mel_encoder import (
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
    """Running level of the voice in a stream, one update per video frame, causal.

    The noise floor falls at once and rises slowly; a frame well above it is voice. The level
    follows loud frames faster than soft ones, so it stands near the level of stressed speech.
    """

    target_db: float = -20.0
    level_db: float = -24.0
    floor_db: float = -60.0
    voiced_frames: int = 0

    GATE_DB = 12.0
    QUIETEST_VOICE_DB = -55.0
    FLOOR_RISE_DB_PER_S = 3.0
    RISE, FALL = 0.15, 0.02
    WARM_UP_FRAMES = 12
    GAIN_LIMIT_DB = 30.0

    def update(self, frame: NDArray[np.float32]) -> float:
        """Take one frame of sound ``[640]`` and return the amplitude gain to apply to it."""
        power = float(np.mean(np.square(frame, dtype=np.float64)))
        now_db = max(SILENCE_DB, 10.0 * math.log10(power + 1e-12))
        risen = self.floor_db + self.FLOOR_RISE_DB_PER_S * FRAME_PERIOD_S
        self.floor_db = min(risen, max(now_db, -70.0))
        if now_db > max(self.floor_db + self.GATE_DB, self.QUIETEST_VOICE_DB):
            self.voiced_frames += 1
            rate = self.RISE if now_db > self.level_db else self.FALL
            if self.voiced_frames <= self.WARM_UP_FRAMES:
                rate = max(rate, 0.25)
            self.level_db += rate * (now_db - self.level_db)
        gain_db = self.target_db - self.level_db
        return 10.0 ** (max(-self.GAIN_LIMIT_DB, min(self.GAIN_LIMIT_DB, gain_db)) / 20.0)


@dataclass
class AudioWindow:
    """The recent past of one sound stream. Arrays are replaced, never written to."""

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

    def clone(self) -> AudioWindow:
        """An independent copy."""
        return AudioWindow(copy.copy(self.level), self.samples, self.mel)
