"""How loud the voice in a stream is, by a running estimate that only voice can move.

Dividing each window by its own variance instead would amplify pauses until the avatar babbles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_PERIOD_S

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
    voiced: bool = False
    """Whether the newest frame was voice."""

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
        self.voiced = now_db > max(self.floor_db + self.GATE_DB, self.QUIETEST_VOICE_DB)
        if self.voiced:
            self.voiced_frames += 1
            rate = self.RISE if now_db > self.level_db else self.FALL
            if self.voiced_frames <= self.WARM_UP_FRAMES:
                rate = max(rate, 0.25)
            self.level_db += rate * (now_db - self.level_db)
        gain_db = self.target_db - self.level_db
        return 10.0 ** (max(-self.GAIN_LIMIT_DB, min(self.GAIN_LIMIT_DB, gain_db)) / 20.0)
