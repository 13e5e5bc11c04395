"""A conversation through a generator, in blocks, as an avatar that is spoken with lives it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

Motion = NDArray[np.float32]


def streamed_motion(
    engine: MotionEngine,
    avatar_audio: NDArray[np.float32],
    user_audio: NDArray[np.float32],
    user_motion: Motion,
    seed: int | None = None,
) -> Motion:
    """The avatar's coefficients ``[T, K]`` for sounds ``[640 T]`` and the user's motion.

    `seed` is that of the noise, by default the one of the engine's configuration. Streamed block
    by block; the voice runs ahead of the rest by the delay with which it is shown, so that frame
    i of the result belongs to frame i of all that was given.
    """
    frames = len(user_motion)
    ahead = engine.config.avatar_audio_delay_frames * SAMPLES_PER_FRAME
    state = engine.new_state(seed=seed)
    out: list[Motion] = []
    made = 0
    while made < frames:
        count = engine.frames(state)
        heard = slice(made * SAMPLES_PER_FRAME, (made + count) * SAMPLES_PER_FRAME)
        block = engine.step(
            state,
            BlockInput(
                _padded(avatar_audio[ahead:][heard], count * SAMPLES_PER_FRAME),
                _padded(user_audio[heard], count * SAMPLES_PER_FRAME),
                _padded(user_motion[made : made + count], count),
            ),
        )
        out.append(block.motion)
        made += count
    return coefficients.clip(np.concatenate(out)[:frames])


def _padded(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    missing = length - len(values)
    return np.pad(values, ((0, missing),) + ((0, 0),) * (values.ndim - 1)) if missing else values
