"""A sender, a screen and a speaker around a playout, in simulated time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.sync.playout import Playout
from avatar_forcing_ros.timebase import (
    SAMPLES_PER_FRAME,
    frame_stamp_ns,
)

MS = 1_000_000
START_NS = 1_760_000_000 * 1_000_000_000  # media time as ROS stamps it
LOCAL_NS = 5_000 * MS
PIXELS = np.zeros((2, 2, 3), np.uint8)


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    """Loud all the time, and no two places alike."""
    audio = np.random.default_rng(seed).uniform(0.1, 0.9, samples)
    return audio.astype(np.float32)


@dataclass
class Simulation:
    """A sender, a screen that asks every millisecond and a speaker, all in simulated time.

    The sender gives a frame and its audio every 40 ms; the local time of the screen is
    `LOCAL_NS` at the stamp `START_NS` plus transport.
    """

    playout: Playout
    audio: NDArray[np.float32]
    jitter_ns: list[int]  # of frame i and its audio
    block: int = 160
    transport_ns: int = 7 * MS
    shown: list[tuple[int, int]] = field(default_factory=list)  # stamp, local time
    chunks: list[NDArray[np.float32]] = field(default_factory=list)

    def arrivals(self) -> list[tuple[int, int]]:
        return [
            (LOCAL_NS + frame_stamp_ns(i) + self.transport_ns + jitter, i)
            for i, jitter in enumerate(self.jitter_ns)
        ]

    def run(self, extra_ms: int = 700) -> None:
        block_ns = self.block * 62_500
        coming = sorted(self.arrivals())
        next_pull_ns = LOCAL_NS
        for ms in range((coming[-1][0] - LOCAL_NS) // MS + extra_ms):
            now_ns = LOCAL_NS + ms * MS
            while coming and coming[0][0] <= now_ns:
                self._push(*coming.pop(0), lead_ns=block_ns)
            while next_pull_ns <= now_ns:
                self.chunks.append(self.playout.audio_for(next_pull_ns, self.block))
                next_pull_ns += block_ns
            frame = self.playout.frame_at(now_ns)
            if frame is not None:
                self.shown.append((frame.stamp_ns, now_ns))

    def _push(self, arrival_ns: int, i: int, lead_ns: int) -> None:
        stamp_ns = START_NS + frame_stamp_ns(i)
        part = self.audio[SAMPLES_PER_FRAME * i : SAMPLES_PER_FRAME * (i + 1)]
        self.playout.push_frame(stamp_ns, PIXELS, arrival_ns)
        if len(part):
            # what comes between two ticks is used at the next one, at most 1 ms later
            self.playout.push_audio(stamp_ns, part, arrival_ns + lead_ns + MS)

    @property
    def played(self) -> NDArray[np.float32]:
        return np.concatenate(self.chunks)

    def played_at_ns(self, value: np.float32) -> int:
        """Local time at which a sample was played."""
        return LOCAL_NS + int(np.flatnonzero(self.played == value)[0]) * 62_500


def contains(whole: NDArray[np.float32], part: NDArray[np.float32]) -> bool:
    """Whether `part` stands in `whole`, sample for sample."""
    begins = np.flatnonzero(whole == part[0])
    return any(np.array_equal(whole[at : at + len(part)], part) for at in begins)
