"""Pictures and sound that travelled apart, put together again by their stamps. No clock in here.

Both come in order, each on its own topic. A half waits for the other half of its stamp; when what
was sent after the missing half has come, or media time has gone on by `LONGEST_WAIT_NS`, it goes
on alone: the last picture stays then, or it is silent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

LONGEST_WAIT_NS = 3 * FRAME_PERIOD_NS
BACK_NS = 1_000_000_000  # stamps that go back that far belong to a new conversation


@dataclass(frozen=True)
class _Halves:
    pixels: NDArray[np.uint8] | None = None
    audio: NDArray[np.float32] | None = None


class FramePairs:
    """`emit` gets every frame once, in the order of stamps."""

    def __init__(self, emit: Callable[[AvatarFrame], None]) -> None:
        self._emit = emit
        self._waiting: dict[int, _Halves] = {}
        self._last_ns: int | None = None
        self._newest_picture_ns = self._newest_sound_ns = 0
        self.frames = self.missing_pictures = self.missing_sounds = self.late = 0

    def put_picture(self, stamp_ns: int, pixels: NDArray[np.uint8]) -> None:
        """Take a picture."""
        if self._is_due(stamp_ns, self._newest_picture_ns):
            self._newest_picture_ns = max(self._newest_picture_ns, stamp_ns)
            halves = self._waiting.get(stamp_ns, _Halves())
            self._waiting[stamp_ns] = replace(halves, pixels=pixels)
            self._release()

    def put_sound(self, stamp_ns: int, samples: NDArray[np.float32]) -> None:
        """Take the sound ``[n]`` of a frame; what is not 640 samples is cut or filled up."""
        if self._is_due(stamp_ns, self._newest_sound_ns):
            self._newest_sound_ns = max(self._newest_sound_ns, stamp_ns)
            halves = self._waiting.get(stamp_ns, _Halves())
            self._waiting[stamp_ns] = replace(halves, audio=_fitted(samples))
            self._release()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting = {}
        self._last_ns = None
        self._newest_picture_ns = self._newest_sound_ns = 0

    def _is_due(self, stamp_ns: int, newest_ns: int) -> bool:
        """Whether a half of that stamp can still be used; counts it if not.

        `newest_ns` is of the same topic: the other one may be far ahead of it.
        """
        if newest_ns - stamp_ns > BACK_NS:
            self.clear()
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            self.late += 1
            return False
        return True

    def _release(self) -> None:
        newest_ns = max(self._newest_picture_ns, self._newest_sound_ns)
        for stamp_ns in sorted(self._waiting):
            halves = self._waiting[stamp_ns]
            given_up = newest_ns - stamp_ns >= LONGEST_WAIT_NS
            if halves.pixels is None and not (given_up or self._newest_picture_ns > stamp_ns):
                return
            if halves.audio is None and not (given_up or self._newest_sound_ns > stamp_ns):
                return
            del self._waiting[stamp_ns]
            self._go(stamp_ns, halves)

    def _go(self, stamp_ns: int, halves: _Halves) -> None:
        self._last_ns = stamp_ns
        self.frames += 1
        self.missing_pictures += halves.pixels is None
        self.missing_sounds += halves.audio is None
        silence = np.zeros(SAMPLES_PER_FRAME, np.float32)
        audio = silence if halves.audio is None else halves.audio
        self._emit(AvatarFrame(stamp_ns, halves.pixels, audio))


def _fitted(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    fitted = np.zeros(SAMPLES_PER_FRAME, np.float32)
    count = min(len(samples), SAMPLES_PER_FRAME)
    fitted[:count] = samples[:count]
    return fitted
