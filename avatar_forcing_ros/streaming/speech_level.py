"""The running level of the speech in a stream, which sets the gain that it is heard with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_PERIOD_S

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

    GATE_DB: ClassVar[float] = 12.0
    MIN_SPEECH_DB: ClassVar[float] = -55.0
    MIN_FLOOR_DB: ClassVar[float] = -70.0
    FLOOR_RISE_DB_PER_S: ClassVar[float] = 3.0
    RISE: ClassVar[float] = 0.15
    FALL: ClassVar[float] = 0.02
    WARM_UP_FRAMES: ClassVar[int] = 12
    GAIN_LIMIT_DB: ClassVar[float] = 30.0

    def update(self, frame: NDArray[np.float32]) -> float:
        """Take one frame of audio ``[640]`` and return the amplitude gain to apply to it."""
        power = float(np.mean(np.square(frame, dtype=np.float64)))
        now_db = self._judge(power)
        if self.voiced:
            self._move(now_db, self.FALL)
        return self.gain

    @property
    def gain(self) -> float:
        """The amplitude gain that brings speech to the target."""
        gain_db = self.target_db - self.level_db
        return 10.0 ** (max(-self.GAIN_LIMIT_DB, min(self.GAIN_LIMIT_DB, gain_db)) / 20.0)

    def _judge(self, power: float) -> float:
        """Whether a frame of this mean square is speech; its level in dB."""
        now_db = max(SILENCE_DB, 10.0 * math.log10(power + 1e-12))
        risen = self.floor_db + self.FLOOR_RISE_DB_PER_S * FRAME_PERIOD_S
        self.floor_db = min(risen, max(now_db, self.MIN_FLOOR_DB))
        self.voiced = now_db > max(self.floor_db + self.GATE_DB, self.MIN_SPEECH_DB)
        return now_db

    def _move(self, now_db: float, fall: float) -> None:
        """Follow a frame of speech."""
        self.voiced_frames += 1
        rate = self.RISE if now_db > self.level_db else fall
        if self.voiced_frames <= self.WARM_UP_FRAMES:
            rate = max(rate, 0.25)
        self.level_db += rate * (now_db - self.level_db)


@dataclass
class CleanSpeechLevel(SpeechLevel):
    """The same for audio without rumble and tones: the level may be that of very quiet speech.

    So that noise does not become speech by it, it falls only with what has a voice's pitch.
    """

    quiet_frames: int = 0
    """Frames of speech since one came near the level."""
    unpitched_frames: int = 1_000
    """Frames since the last with a pitch."""
    earlier: tuple[tuple[float, int], ...] = ((-24.0, 0),)
    """Level and `voiced_frames` of the last half second."""

    MIN_SPEECH_DB: ClassVar[float] = -74.0
    MIN_FLOOR_DB: ClassVar[float] = -90.0
    GAIN_LIMIT_DB: ClassVar[float] = 45.0
    QUIET_DB: ClassVar[float] = 12.0
    QUIET_FRAMES: ClassVar[int] = 10  # speech at one volume has 6
    QUIET_FALL: ClassVar[float] = 0.1
    UNPITCHED_FRAMES: ClassVar[int] = 8  # of consonants and whispered ends
    EARLIER_FRAMES: ClassVar[int] = 12  # a tone is known for one by then

    def follow(self, power: float, *, is_voice: bool) -> None:
        """Take a frame's mean square, and whether it has a voice's pitch."""
        self.unpitched_frames = 0 if is_voice else self.unpitched_frames + 1
        now_db = self._judge(power)
        if self.voiced:
            is_quiet = now_db < self.level_db - self.QUIET_DB
            self.quiet_frames = self.quiet_frames + 1 if is_quiet else 0
            fall = self.QUIET_FALL if self.quiet_frames > self.QUIET_FRAMES else self.FALL
            if now_db > self.level_db or self.unpitched_frames < self.UNPITCHED_FRAMES:
                self._move(now_db, fall)
        now = self.level_db, self.voiced_frames
        self.earlier = (*self.earlier, now)[-self.EARLIER_FRAMES :]

    def take_back(self) -> None:
        """What came lately was a tone: the level is again what it was before."""
        self.voiced = False
        self.level_db, self.voiced_frames = self.earlier[0]
