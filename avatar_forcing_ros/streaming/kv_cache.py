"""Attention keys of past frames: attended to while denoising, extended once a block is clean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.model.attention import KeysValues
from avatar_forcing_ros.model.blocks import BlockKeys

TENSORS_PER_BLOCK = 4


def _kept(keys: KeysValues, start: int, stop: int) -> KeysValues:
    # copies: a slice would keep the whole window's memory alive
    return KeysValues(
        keys.key[:, :, start:stop].contiguous(), keys.value[:, :, start:stop].contiguous()
    )


@dataclass(frozen=True)
class KVCache:
    """The keys of up to `capacity` frames before the context, for every block.

    An immutable value: `commit` returns the next one, so a conversation can be copied by keeping
    a reference, and a block that failed half-way has changed nothing. The leading dimension of
    its tensors counts guidance rows, or conversations times rows where several were joined.
    """

    capacity: int
    context_frames: int
    reach_frames: int
    """How far back conditions attend: so many of their keys are kept."""
    shown: tuple[tuple[bool, bool], ...] = ()
    """What each guidance row was shown (avatar audio, user) when the keys were made."""
    blocks: tuple[BlockKeys, ...] = ()

    @property
    def frames(self) -> int:
        """How many frames the self-attention remembers."""
        return self.blocks[0].self_attention.key.shape[2] if self.blocks else 0

    def peek(self) -> Sequence[BlockKeys] | None:
        """What the transformer takes as `past`; None while nothing is remembered."""
        return self.blocks or None

    def commit(self, present: Sequence[BlockKeys], timesteps: Sequence[float]) -> KVCache:
        """The cache after a window whose keys are `present`.

        The window's last `context_frames` are left out: they are computed again, as context of
        the next window. Of the cross-attention keys those just before them stay. Raises
        ValueError unless all `timesteps` of the pass that made the keys were 0: keys of noisy
        frames must never be remembered.
        """
        if any(timestep != 0.0 for timestep in timesteps):
            raise ValueError("only keys of clean frames (all timesteps 0) may be committed")
        drop = self.context_frames
        blocks = []
        for i, keys in enumerate(present):
            past = self.blocks[i].self_attention if self.blocks else None
            joined = keys.self_attention.after(past)
            stop = joined.key.shape[2] - drop
            cross_stop = keys.cross_attention.key.shape[2] - drop
            blocks.append(
                BlockKeys(
                    _kept(joined, max(0, stop - self.capacity), stop),
                    _kept(
                        keys.cross_attention, max(0, cross_stop - self.reach_frames), cross_stop
                    ),
                )
            )
        return replace(self, blocks=tuple(blocks))

    def tensors(self) -> list[Tensor]:
        """All keys and values in a fixed order."""
        return [tensor for block in self.blocks for keys in block for tensor in keys]

    def with_tensors(self, tensors: Sequence[Tensor]) -> KVCache:
        """This cache with other contents, in the order of `tensors`."""
        groups = [
            tensors[i : i + TENSORS_PER_BLOCK] for i in range(0, len(tensors), TENSORS_PER_BLOCK)
        ]
        return replace(
            self,
            blocks=tuple(BlockKeys(KeysValues(a, b), KeysValues(c, d)) for a, b, c, d in groups),
        )


def empty_cache(config: ModelConfig) -> KVCache:
    """The cache of a conversation that has not begun."""
    return KVCache(config.cache_frames, config.context_frames, config.look_ahead_frames)


def join(several: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Tensors of several conversations, one after another in the first dimension."""
    if len(several) == 1:
        return list(several[0])
    return [torch.cat(column) for column in zip(*several, strict=True)]


def split(tensors: Sequence[Tensor], conversations: int) -> list[list[Tensor]]:
    """The reverse of `join`; each gets memory of its own."""
    if conversations == 1:
        return [list(tensors)]
    columns = [tensor.chunk(conversations) for tensor in tensors]
    return [[column[i].clone() for column in columns] for i in range(conversations)]
