"""All that one conversation remembers, apart from the weights that many may share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.streaming.audio_window import AudioWindow
from avatar_forcing_ros.streaming.kv_cache import KVCache, empty_cache
from avatar_forcing_ros.streaming.motion_anchor import AnchorState


class Conditions(NamedTuple):
    """The transformer's conditions for T frames of B conversations."""

    avatar_audio: Tensor  # [B, T, A]
    user_audio: Tensor  # [B, T, A]
    user_motion: Tensor  # [B, T, D]

    def after(self, past: Conditions) -> Conditions:
        """`past` followed by these frames."""
        return Conditions(*(torch.cat(pair, dim=1) for pair in zip(past, self, strict=True)))

    @property
    def frames(self) -> int:
        """T."""
        return self.user_motion.shape[1]

    def last(self, frames: int) -> Conditions:
        """The newest `frames`."""
        return Conditions(*(part[:, part.shape[1] - frames :] for part in self))


@dataclass(frozen=True)
class MotionState:
    """How far the generator has come: an immutable value, replaced once a block."""

    cache: KVCache
    context: Tensor  # [1, C, D] the newest clean frames, float32
    past_conditions: Conditions  # of these and, for the condition encoder, of some before
    anchor: AnchorState
    frame: int = 0
    block: int = 0

    @classmethod
    def empty(cls, config: ModelConfig, reference: Tensor) -> MotionState:
        """Before the first frame of a portrait whose motion is `reference` ``[1, D]``.

        Tensors are on the device of `reference`, conditions in its type.
        """
        return cls(
            cache=empty_cache(config),
            context=reference.new_zeros(1, 0, config.motion_dim, dtype=torch.float32),
            past_conditions=Conditions(
                reference.new_zeros(1, 0, config.audio_dim),
                reference.new_zeros(1, 0, config.audio_dim),
                reference.new_zeros(1, 0, config.motion_dim),
            ),
            anchor=AnchorState.new(reference),
        )

    @property
    def extent(self) -> tuple[int, ...]:
        """What must be equal where conversations are solved together."""
        first = min(self.block, 1)
        return first, self.context.shape[1], self.past_conditions.frames, self.cache.frames


@dataclass
class StreamState:
    """One conversation: motion so far, its face, both audio streams' recent past, its seed."""

    motion: MotionState
    reference: Tensor  # [1, D] the portrait's own motion, normalised
    avatar_audio: AudioWindow
    user_audio: AudioWindow
    seed: int = 0

    def clone(self) -> StreamState:
        """An independent copy: both go on from here without touching each other."""
        return replace(
            self, avatar_audio=self.avatar_audio.clone(), user_audio=self.user_audio.clone()
        )
