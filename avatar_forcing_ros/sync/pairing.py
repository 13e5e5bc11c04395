"""Images and audio that travelled apart, put together again by their stamps.

Both come in order, each on its own topic. One half of a frame waits for the other half of its
stamp; when what was sent after the missing half has come, or media time has gone on by
`MAX_WAIT_NS`, it goes on alone: the last image stays then, or it is silent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.sync.audio_buffers import SILENCE, Samples, fitted
from avatar_forcing_ros.sync.clock_mapping import BACK_NS
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

MAX_WAIT_NS = 3 * FRAME_PERIOD_NS


class _Halves:
    """What has come of one topic and waits for the other, by stamps."""

    def __init__(self) -> None:
        self.missing = 0
        self.clear()

    def clear(self) -> None:
        self.waiting: dict[int, Any] = {}
        self.newest_ns = 0

    def take(self, stamp_ns: int) -> Any:
        """The half of that stamp; None, and counted, where there is none."""
        self.missing += stamp_ns not in self.waiting
        return self.waiting.pop(stamp_ns, None)


class FramePairer:
    """`emit` gets every frame once, in the order of stamps."""

    def __init__(self, emit: Callable[[AvatarFrame], None]) -> None:
        self._emit = emit
        self._images, self._audio = _Halves(), _Halves()
        self._last_ns: int | None = None
        self.frames = self.late = 0

    @property
    def missing_images(self) -> int:
        """Frames that went on without an image."""
        return self._images.missing

    @property
    def missing_audio(self) -> int:
        """Frames that went on without audio."""
        return self._audio.missing

    @property
    def waiting(self) -> int:
        """Frames of which one half has come."""
        return len({*self._images.waiting, *self._audio.waiting})

    def push_image(self, stamp_ns: int, pixels: NDArray[np.uint8]) -> None:
        """Add an image."""
        self._push(self._images, stamp_ns, pixels)

    def push_audio(self, stamp_ns: int, samples: Samples) -> None:
        """Add a frame's audio ``[n]``; what is not 640 samples is cut off or filled up."""
        self._push(self._audio, stamp_ns, fitted(samples, SAMPLES_PER_FRAME))

    def clear(self) -> None:
        """Forget what waits."""
        self._images.clear()
        self._audio.clear()
        self._last_ns = None

    def _push(self, halves: _Halves, stamp_ns: int, half: Any) -> None:
        # compared with the same topic: the other one may be far ahead of it
        if halves.newest_ns - stamp_ns > BACK_NS:
            self.clear()
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            self.late += 1
            return
        halves.newest_ns = max(halves.newest_ns, stamp_ns)
        halves.waiting[stamp_ns] = half
        self._release()

    def _release(self) -> None:
        newest_ns = max(self._images.newest_ns, self._audio.newest_ns)
        for stamp_ns in sorted({*self._images.waiting, *self._audio.waiting}):
            given_up = newest_ns - stamp_ns >= MAX_WAIT_NS
            for halves in (self._images, self._audio):
                passed = given_up or halves.newest_ns > stamp_ns
                if stamp_ns not in halves.waiting and not passed:
                    return
            self._last_ns = stamp_ns
            self.frames += 1
            pixels, audio = self._images.take(stamp_ns), self._audio.take(stamp_ns)
            silence = fitted(SILENCE, SAMPLES_PER_FRAME)
            self._emit(AvatarFrame(stamp_ns, pixels, silence if audio is None else audio))
