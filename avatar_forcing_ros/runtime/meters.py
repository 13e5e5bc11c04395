"""Running measurements of a live avatar: how long things took, and who is talking."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.streaming.speech_front_end import SpeechFrontEnd
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

KEPT_BLOCKS = 250
USUAL_RMS = 0.1  # of speech after its gain
PAUSE_FRAMES = 6  # between words; nobody has stopped talking yet


class Durations:
    """The newest durations in milliseconds."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=KEPT_BLOCKS)

    def add(self, took_s: float) -> None:
        """Note one."""
        self._kept.append(1000.0 * took_s)

    @property
    def mean_ms(self) -> float:
        """0 while there is none."""
        return float(np.mean(self._kept)) if self._kept else 0.0

    @property
    def p99_ms(self) -> float:
        """The 99th percentile."""
        return float(np.percentile(self._kept, 99)) if self._kept else 0.0


@dataclass
class SpeechMeter:
    """How loudly somebody speaks, frame by frame, and whether they are talking."""

    front_end: SpeechFrontEnd = field(default_factory=SpeechFrontEnd)
    quiet_frames: int = PAUSE_FRAMES

    def update(self, audio: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Loudness ``[T]``, 1 at the usual speaking level or above, and talking ``[T]``.

        `audio` ``[640 T]``, 16 kHz.
        """
        frames = audio.reshape(-1, SAMPLES_PER_FRAME)
        strength = np.zeros(len(frames), np.float32)
        talking = np.zeros(len(frames), bool)
        for i, frame in enumerate(frames):
            heard, self.front_end = self.front_end.hear(frame)
            strength[i] = min(1.0, heard.rms * heard.gain / USUAL_RMS)
            self.quiet_frames = 0 if heard.voiced else self.quiet_frames + 1
            talking[i] = self.quiet_frames < PAUSE_FRAMES
        return strength, talking
