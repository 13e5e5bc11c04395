"""A number in the corner of a picture that survives a video codec.

Bits are squares, black or white, in the picture's top left corner; a checksum tells a number from
whatever else a picture shows there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS, CHECK_BITS = 16, 4
SQUARE_PX = 16  # a whole block of the codec
WIDTH_PX = SQUARE_PX * (BITS + CHECK_BITS)
LARGEST = 2**BITS - 1


def mark(pixels: NDArray[np.uint8], number: int) -> None:
    """Draw `number`, 0 … `LARGEST`, into `pixels` ``[H, W, 3]``, at least `WIDTH_PX` wide."""
    if not 0 <= number <= LARGEST or pixels.shape[1] < WIDTH_PX or pixels.shape[0] < SQUARE_PX:
        raise ValueError(f"no room for {number} in a picture of {pixels.shape[:2]}")
    coded = number << CHECK_BITS | _check(number)
    bits = np.array([coded >> k & 1 for k in range(BITS + CHECK_BITS)], np.uint8)
    pixels[:SQUARE_PX, :WIDTH_PX] = np.repeat(bits * 255, SQUARE_PX)[None, :, None]


def read(pixels: NDArray[np.uint8]) -> int | None:
    """The number in `pixels` ``[H, W, 3]``; None where there is none."""
    if pixels.shape[1] < WIDTH_PX or pixels.shape[0] < SQUARE_PX:
        return None
    inner = pixels[SQUARE_PX // 4 : -SQUARE_PX // 4 or None][: SQUARE_PX // 2, :WIDTH_PX]
    squares = inner.mean(axis=(0, 2)).reshape(-1, SQUARE_PX)
    bits = squares[:, SQUARE_PX // 4 : 3 * SQUARE_PX // 4].mean(axis=1) > 127
    coded = sum(1 << k for k, bit in enumerate(bits) if bit)
    number = coded >> CHECK_BITS
    return number if coded & (2**CHECK_BITS - 1) == _check(number) else None


def _check(number: int) -> int:
    """Never zero for zero, so that black is no number."""
    return (sum(number >> k & 15 for k in range(0, BITS, CHECK_BITS)) + 5) % 15 + 1
