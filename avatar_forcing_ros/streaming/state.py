"""All that one conversation remembers, apart from the weights that many may share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.streaming.audio_window import AudioWindow
from avatar_forcing_ros.streaming.kv_cache import KVCache


class Conditions(NamedTuple):
    """What the transformer is told about T frames."""

    avatar_audio: Tensor  # [1, T, A]
    user_audio: Tensor  # [1, T, A]
    user_motion: Tensor  # [1, T, D]

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
    context: Tensor  # [1, C, D] the newest clean frames
    past_conditions: Conditions  # of these and, for the condition encoder, of some before
    frame: int = 0
    block: int = 0

    @classmethod
    def empty(cls, config: ModelConfig, like: Tensor) -> MotionState:
        """Before the first frame; tensors on the device and in the type of `like`."""
        return cls(
            cache=KVCache(config.cache_frames, config.look_ahead_frames),
            context=like.new_zeros(1, 0, config.motion_dim),
            past_conditions=Conditions(
                like.new_zeros(1, 0, config.audio_dim),
                like.new_zeros(1, 0, config.audio_dim),
                like.new_zeros(1, 0, config.motion_dim),
            ),
        )


@dataclass
class StreamState:
    """One conversation: motion so far, both sound streams' recent past, and its seed."""

    motion: MotionState
    seed: int = 0
    avatar_sound: AudioWindow = field(default_factory=AudioWindow)
    user_sound: AudioWindow = field(default_factory=AudioWindow)

    def clone(self) -> StreamState:
        """An independent copy: both go on from here without touching each other."""
        return replace(
            self, avatar_sound=self.avatar_sound.clone(), user_sound=self.user_sound.clone()
        )
