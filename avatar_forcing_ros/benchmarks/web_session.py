"""An avatar whose frames name the user's camera frame that they answer; for its own process.

What the tracker makes of a marked camera frame is remembered by its value, so whatever a block
was conditioned on names the newest camera frame that it depends on. Every frame of a block carries
that number: the first of them is the first that depends on the camera frame.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.media import AvatarBlock, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.codec import MotionCodec

MARK_BITS, CHECK_BITS = 16, 4
BITS = MARK_BITS + CHECK_BITS
SQUARE_PX = 16  # a whole block of the video codec
MARK_WIDTH_PX = SQUARE_PX * BITS
MIN_WIDTH_PX = MARK_WIDTH_PX // 2  # in two rows
MAX_MARK = 2**MARK_BITS - 1
MAX_REMEMBERED = 500  # camera frames and blocks


def draw_mark(pixels: NDArray[np.uint8], number: int) -> None:
    """Draw `number`, 0 … `MAX_MARK`, into `pixels` ``[H, W, 3]``, `MARK_WIDTH_PX` wide or in rows.

    Bits are squares, black or white, in the top left corner, which survive a video codec; a
    checksum distinguishes a number from whatever else an image shows there. Where they have no
    space in one row there are two.
    """
    rows = _rows(pixels)
    if not 0 <= number <= MAX_MARK or not rows:
        raise ValueError(f"no space for {number} in an image of {pixels.shape[:2]}")
    coded = number << CHECK_BITS | _checksum(number)
    bits = np.array([coded >> k & 1 for k in range(BITS)], np.uint8).reshape(rows, -1)
    squares = (bits * 255).repeat(SQUARE_PX, axis=0).repeat(SQUARE_PX, axis=1)
    pixels[: squares.shape[0], : squares.shape[1]] = squares[..., None]


def read_mark(pixels: NDArray[np.uint8]) -> int | None:
    """The number in `pixels` ``[H, W, 3]``; None where there is none."""
    rows = _rows(pixels)
    if not rows:
        return None
    drawn = pixels[: rows * SQUARE_PX, : BITS // rows * SQUARE_PX]
    squares = drawn.reshape(rows, SQUARE_PX, BITS // rows, SQUARE_PX, -1)
    inner = slice(SQUARE_PX // 4, 3 * SQUARE_PX // 4)  # a codec blurs the edges
    bits = squares[:, inner, :, inner].mean(axis=(1, 3, 4)).ravel() > 127
    coded = sum(1 << k for k, bit in enumerate(bits) if bit)
    number = coded >> CHECK_BITS
    return number if coded & (2**CHECK_BITS - 1) == _checksum(number) else None


def _rows(pixels: NDArray[np.uint8]) -> int:
    """In how many rows of squares a mark is drawn; 0 where it has no space."""
    height, width = pixels.shape[:2]
    fits = [n for n in (1, 2) if height >= n * SQUARE_PX and width >= MARK_WIDTH_PX // n]
    return fits[0] if fits else 0


def _checksum(number: int) -> int:
    """Never zero for zero, so that black is no number."""
    return (sum(number >> k & 15 for k in range(0, MARK_BITS, CHECK_BITS)) + 5) % 15 + 1


class _Recent(OrderedDict[Any, int]):
    """The newest numbers by what they belong to."""

    def __setitem__(self, key: Any, number: int) -> None:
        super().__setitem__(key, number)
        while len(self) > MAX_REMEMBERED:
            self.popitem(last=False)


class MarkingCodec:
    """A codec that remembers in which camera frame each motion of the user was seen."""

    def __init__(self, codec: MotionCodec) -> None:
        self._codec = codec
        self.seen = _Recent()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """The motion in `frame`, remembered."""
        motion = self._codec.encode_user(frame)
        number = read_mark(frame.pixels)
        if number is not None:
            self.seen[motion.values.tobytes()] = number
        return motion


class MarkedSession(Session):
    """A session that knows the newest camera frame that each of its blocks depends on."""

    def __init__(self, session: Session) -> None:
        self.answered = _Recent()
        self.marking = MarkingCodec(session.codec)
        super().__init__(session.engine, self.marking)

    def next_block(self) -> AvatarBlock:
        """The next block, noted."""
        block = super().next_block()
        rows = (row.tobytes() for row in self.last_user_motion)
        known = [self.marking.seen[row] for row in rows if row in self.marking.seen]
        if known:
            self.answered[block.motion.block_index] = known[-1]
        return block

    def drawn(self, block: AvatarBlock, every: int = 1) -> Iterator[NDArray[np.uint8] | None]:
        """The block's images, marked."""
        number = self.answered.get(block.motion.block_index)
        for image in super().drawn(block, every):
            if number is not None and image is not None:
                draw_mark(image, number)
            yield image


def marked_session(config: AvatarConfig) -> Session:
    """A session whose frames carry the number of the camera frame that they answer."""
    return MarkedSession(build_session(config))
