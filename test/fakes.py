"""Stand-ins for what is slow, large or hardware, shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from tiny import TINY, tiny_engine

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.session import Session


def grey_portrait(grey: int, size_px: int) -> Portrait:
    """A portrait of one shade, all landmarks in its corner."""
    return Portrait(np.full((size_px, size_px, 3), grey, np.uint8), np.zeros((478, 3), np.float32))


class FakeCodec:
    """Draws its portrait whatever the motion; a user's motion is their image's first pixels.

    Portraits are `size_px` wide; one of another size raises ValueError.
    """

    fit: ClassVar[dict[str, float]] = {}
    has_alpha = False
    reference = np.zeros(TINY.motion_dim, np.float32)

    def __init__(self, size_px: int = 1, grey: int = 0) -> None:
        self.image_size_px = size_px
        self.drawable_sizes_px = [size_px]
        self.drawn_at = size_px
        self.portrait = grey_portrait(grey, size_px)

    def draw_at(self, size_px: int) -> None:
        self.drawn_at = size_px

    def reset(self) -> None: ...

    def warm_up(self) -> None: ...

    def load_tracker(self) -> None: ...

    def close(self) -> None: ...

    def prepare_portrait(self, other: Portrait) -> None:
        if other.size_px != self.image_size_px:
            raise ValueError("another size")
        self.portrait = other

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        values = np.resize(frame.pixels.ravel(), TINY.motion_dim).astype(np.float32) / 255.0
        return UserMotion(values, True)

    def coefficients(self, motion: NDArray[np.float32]) -> NDArray[np.float32]:
        return coefficients.clip(motion)

    def changed(
        self, motion: NDArray[np.float32], change: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return motion + change

    def decode(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.repeat(self.portrait.image[None], len(motion), axis=0)

    def drawn(self, motion: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
        for one in motion:
            yield from self.decode(one[None])


def fake_session(size_px: int = 1, grey: int = 0, config: ModelConfig = TINY) -> Session:
    """A session with a tiny generator and a `FakeCodec`."""
    return Session(tiny_engine(config=config), FakeCodec(size_px, grey))  # type: ignore[arg-type]
