"""Conversations through the motion engine, block by block as they would stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import AnchorConfig
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.evaluation.variants import Variant, in_blocks
from avatar_forcing_ros.training.synthetic import Conversation

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Script:
    """Conversations of equal length, one after another, as one stream of T frames."""

    talks: Sequence[Conversation]

    @property
    def frames(self) -> int:
        return sum(talk.frames for talk in self.talks)

    def avatar_audio(self, start: int, stop: int) -> NDArray[np.float32]:
        """Frames `start` to `stop` of the avatar's voice ``[640 n]``; silence outside."""
        return self._cut("avatar_audio", start, stop, SAMPLES_PER_FRAME)

    def user_audio(self, start: int, stop: int) -> NDArray[np.float32]:
        """The user's voice, likewise."""
        return self._cut("user_audio", start, stop, SAMPLES_PER_FRAME)

    def user_motion(self, start: int, stop: int) -> NDArray[np.float32]:
        """The user's tracked motion ``[n, K]``; the first and last frame hold outside."""
        inside = np.clip(np.arange(start, stop), 0, self.frames - 1)
        first, last = int(inside[0]), int(inside[-1]) + 1
        return self._cut("user_motion", first, last, 1)[inside - first]

    def truth(self) -> NDArray[np.float32]:
        """The true avatar's motion ``[T, K]``."""
        return np.concatenate([talk.avatar_motion for talk in self.talks])

    def _cut(self, name: str, start: int, stop: int, per_frame: int) -> NDArray[np.float32]:
        length = self.talks[0].frames
        shape = getattr(self.talks[0], name).shape[1:]
        parts = [np.zeros((max(0, min(0, stop) - start) * per_frame, *shape), np.float32)]
        at = max(start, 0)
        while at < min(stop, self.frames):
            k, inside = divmod(at, length)
            end = min(length, stop - k * length)
            parts.append(getattr(self.talks[k], name)[inside * per_frame : end * per_frame])
            at = k * length + end
        past = max(0, stop - max(start, self.frames))
        return np.concatenate([*parts, np.zeros((past * per_frame, *shape), np.float32)])


def engine_for(variant: Variant) -> MotionEngine:
    """An engine with the variant's weights, blocks and sampling, held as the avatar's is."""
    generator = load_checkpoint(variant.weights).generator
    if variant.block_frames:
        generator = in_blocks(generator, variant.block_frames)
    anchor = AnchorConfig() if variant.anchored else None
    return MotionEngine(generator, variant.sampling, anchor=anchor)


def roll(
    engine: MotionEngine,
    scripts: Sequence[Script],
    seeds: Sequence[int],
    *,
    user_audio: bool = True,
    user_motion: bool = True,
    progress: Progress = lambda frames: None,
) -> list[NDArray[np.float32]]:
    """The avatar's motion ``[T, K]`` in each of `scripts`, within the rig's ranges.

    All are one batch and equally long. The avatar's voice goes in when it comes, and is shown
    `avatar_audio_delay_frames` later, to a user who therefore is as much later: the delay is
    taken out again, so that frame t belongs to frame t of the script.
    """
    delay, frames = engine.config.avatar_audio_delay_frames, scripts[0].frames
    states = [engine.new_state(coefficients.neutral(), seed) for seed in seeds]
    made: list[NDArray[Any]] = []
    at = 0
    while at < frames + delay:
        n = engine.frames(states[0])
        heard = [
            BlockInput(
                script.avatar_audio(at, at + n),
                script.user_audio(at - delay, at - delay + n) if user_audio else None,
                script.user_motion(at - delay, at - delay + n) if user_motion else None,
            )
            for script in scripts
        ]
        made.append(np.stack([block.motion for block in engine.step_many(states, heard)]))
        at += n
        progress(n)
    motion = np.concatenate(made, axis=1)[:, delay : delay + frames]
    return list(coefficients.clip(motion))
