"""The left and the right half of a face that do nearly, but not quite, the same.

The generator moves both sides as one, people do not: in real smiles and raised brows the sides
correlate with about 0.9. So the share of each side drifts a little, slowly, about an even one. It
is applied to what is shown and published alone; what the generator remembers stays as it is.

How far is a pure function of a seed and of the frame's number: nothing is remembered, blocks of
any length give the same, and so does a conversation that goes on from a saved state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import MotionBlock
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

Array = NDArray[np.float32]

_DRIFT_HZ = 0.55  # the sides' shares take a new course this often


@dataclass(frozen=True)
class _Pair:
    """A pair of coefficients, what of their size is at most taken from one for the other."""

    name: str
    share: float


# shares that make r = 0.92 of smiles and brows as they are generated, 0.98 of blinks
_SMILE, _BROW = _Pair("smile", 0.29), _Pair("brow_up", 0.4)
_BLINK = _Pair("blink", 0.9)


def drift(seed: int, channel: int, first_frame: int, frames: int) -> Array:
    """Smooth noise ``[frames]`` between -1 and 1, of `channel` at frames from `first_frame` on.

    Values at knots that are hashed from the arguments, and between them a cubic that is flat
    there.
    """
    place = (first_frame + np.arange(frames)) * (_DRIFT_HZ / FRAME_RATE_HZ)
    knot = np.floor(place).astype(np.int64)
    part = place - knot
    rise = part * part * part * (part * (6.0 * part - 15.0) + 10.0)
    at_knots = _hashed(seed, channel, knot), _hashed(seed, channel, knot + 1)
    return np.asarray(at_knots[0] + rise * (at_knots[1] - at_knots[0]), np.float32)


def uneven(block: MotionBlock, seed: int) -> MotionBlock:
    """`block` of rig coefficients with its sides moving a little apart; `latent` stays.

    Smiles and brows keep the mean of both sides. A blink stays a blink: lids that are open or shut
    stay so, only on the way one is ahead.
    """
    motion = block.motion.copy()
    for channel, pair in enumerate((_SMILE, _BROW, _BLINK)):
        left, right = (INDEX[f"{pair.name}_{side}"] for side in ("left", "right"))
        apart = pair.share * drift(seed, channel, block.first_frame, len(motion))  # [T]
        for column, sign in ((left, 1.0), (right, -1.0)):
            value = motion[:, column]
            size = value.clip(0.0, 1.0)
            if pair is _BLINK:
                size = 4.0 * (size * (1.0 - size)) ** 2  # a quarter where the lid is half-way
            motion[:, column] = value + np.float32(sign) * apart * size
    return replace(block, motion=motion)


def _hashed(seed: int, channel: int, knot: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform numbers between -1 and 1 for each of `knot` ``[n]``: splitmix64 of the arguments."""
    with np.errstate(over="ignore"):  # it counts modulo 2^64
        x = np.zeros(knot.shape, np.uint64)
        for number in (np.uint64(seed % 2**64), np.uint64(channel), knot.astype(np.uint64)):
            x = (x + number) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x632BE59BD9B4E019)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(11)) * 2.0**-52 - 1.0, np.float64)
