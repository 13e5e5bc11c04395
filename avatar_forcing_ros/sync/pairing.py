"""Images and audio that travelled apart, put together again by their stamps.

Both come in order, each on its own topic. One half of a frame waits for the other half of its
stamp; when what was sent after the missing half has come, or media time has gone on by
`MAX_WAIT_NS`, it goes on alone: the last image stays then, or it is silent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.sync.audio_buffers import SILENCE, Samples, fitted
from avatar_forcing_ros.sync.clock_mapping import BACK_NS
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

MAX_WAIT_NS = 3 * FRAME_PERIOD_NS


class FramePairer:
    """`emit` gets every frame once, in the order of stamps."""

    def __init__(self, emit: Callable[[AvatarFrame], None]) -> None:
        self._emit = emit
        self.frames = self.missing_images = self.missing_audio = self.late = 0
        self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._images: dict[int, NDArray[np.uint8]] = {}  # by stamps
        self._audio: dict[int, Samples] = {}
        self._newest_image_ns = self._newest_audio_ns = 0
        self._last_ns: int | None = None

    def push_image(self, stamp_ns: int, pixels: NDArray[np.uint8]) -> None:
        """Add an image."""
        if self._is_in_time(stamp_ns, self._newest_image_ns):
            self._newest_image_ns = max(self._newest_image_ns, stamp_ns)
            self._images[stamp_ns] = pixels
            self._release()

    def push_audio(self, stamp_ns: int, samples: Samples) -> None:
        """Add a frame's audio ``[n]``; what is not 640 samples is cut off or filled up."""
        if self._is_in_time(stamp_ns, self._newest_audio_ns):
            self._newest_audio_ns = max(self._newest_audio_ns, stamp_ns)
            self._audio[stamp_ns] = samples
            self._release()

    def _is_in_time(self, stamp_ns: int, newest_ns: int) -> bool:
        """Whether a half of that stamp can still be used; counts it if not.

        `newest_ns` is of the same topic: the other one may be far ahead of it.
        """
        if newest_ns - stamp_ns > BACK_NS:
            self.clear()
        late = self._last_ns is not None and stamp_ns <= self._last_ns
        self.late += late
        return not late

    def _release(self) -> None:
        """Let those frames go that are whole, or wait for nothing more."""
        image_ns, audio_ns = self._newest_image_ns, self._newest_audio_ns
        for stamp_ns in sorted({*self._images, *self._audio}):
            given_up = max(image_ns, audio_ns) - stamp_ns >= MAX_WAIT_NS
            if stamp_ns not in self._images and not (given_up or image_ns > stamp_ns):
                return
            if stamp_ns not in self._audio and not (given_up or audio_ns > stamp_ns):
                return
            pixels = self._images.pop(stamp_ns, None)
            samples = self._audio.pop(stamp_ns, None)
            self._last_ns = stamp_ns
            self.frames += 1
            self.missing_images += pixels is None
            self.missing_audio += samples is None
            audio = fitted(SILENCE if samples is None else samples, SAMPLES_PER_FRAME)
            self._emit(AvatarFrame(stamp_ns, pixels, audio))
