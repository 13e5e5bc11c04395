"""The frozen values that cross layers. Each states its shape, unit and stamp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_VALUE = 1e6  # of audio in -1…1, and of motion, whose units are as large


def check_values(what: str, values: NDArray[np.float32]) -> None:
    """Raises ValueError where `values` hold NaN, infinity or anything beyond ± `MAX_VALUE`.

    A finite number may be as bad as infinity: the square of 1e30 overflows in the networks.
    """
    peak = float(np.abs(values).max(initial=0.0))
    if not peak <= MAX_VALUE:  # NaN compares as False
        raise ValueError(f"{what}: expected finite values within ±{MAX_VALUE:g}, got {peak:g}")


@dataclass(frozen=True)
class AudioChunk:
    """Mono audio: `samples` ``[n]`` float32 in -1…1 at `rate_hz`; `stamp_ns` of the first."""

    samples: NDArray[np.float32]
    rate_hz: int
    stamp_ns: int


@dataclass(frozen=True)
class VideoFrame:
    """One image: `pixels` ``[H, W, 3]`` uint8 RGB, taken at `stamp_ns`."""

    pixels: NDArray[np.uint8]
    stamp_ns: int


@dataclass(frozen=True)
class MotionBlock:
    """The motion of `T` consecutive frames.

    `first_frame` counts frames since the conversation began; `latent` ``[T, D]`` is the motion
    as the generator made it, `motion` ``[T, D]`` the same in the units of its motion space (rig
    coefficients, or latents of the motion autoencoder); `compute_s` is what it cost.
    """

    block_index: int
    first_frame: int
    latent: NDArray[np.float32]
    motion: NDArray[np.float32]
    compute_s: float


@dataclass(frozen=True)
class AvatarBlock:
    """What a conversation gives out for one block of `T` frames.

    `coefficients` ``[T, K]`` are rig coefficients in the order of ``rig.coefficients.NAMES``;
    `audio` ``[T * 640]`` float32 at 16 kHz is the avatar's audio of exactly these frames;
    `stamp_ns` is the media time of the first one. ``Session.draw`` makes images of it.
    """

    motion: MotionBlock
    coefficients: NDArray[np.float32]
    audio: NDArray[np.float32]
    stamp_ns: int


@dataclass(frozen=True)
class AvatarFrame:
    """One frame, 40 ms, of a live avatar; the only kind of frame that leaves the runtime.

    `stamp_ns` is on the clock of the inputs' stamps. `pixels` ``[S, S, 3]`` uint8 RGB, or
    ``[S, S, 4]`` RGBA whose colours are not times alpha; None: the last image stays. `audio`
    ``[640]`` float32 at 16 kHz is the avatar's; `robot_audio`, of the same shape, is what a
    robot's microphone records meanwhile, where there is one. `latent` ``[D]`` and `coefficients`
    ``[K]`` are the motion, None where only image and audio are known.
    """

    stamp_ns: int
    pixels: NDArray[np.uint8] | None
    audio: NDArray[np.float32]
    block_index: int = 0
    frame_in_block: int = 0
    latent: NDArray[np.float32] | None = None
    coefficients: NDArray[np.float32] | None = None
    speech_level: float = 0.0
    speaking: bool = False
    robot_audio: NDArray[np.float32] | None = None
