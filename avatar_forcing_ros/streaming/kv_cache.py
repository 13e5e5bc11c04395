"""Attention keys of past frames: looked at while denoising, extended once a block is clean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from avatar_forcing_ros.model.attention import KeysValues
from avatar_forcing_ros.model.blocks import BlockKeys


def _kept(keys: KeysValues, start: int, stop: int) -> KeysValues:
    # copies: a slice would keep the whole window's memory alive
    return KeysValues(
        keys.key[:, :, start:stop].contiguous(), keys.value[:, :, start:stop].contiguous()
    )


@dataclass(frozen=True)
class KVCache:
    """The keys of up to `capacity` frames before the context, for every block.

    An immutable value: `commit` returns the next one, so a conversation can be copied by keeping
    a reference, and a block that failed half-way has changed nothing.
    """

    capacity: int
    context_frames: int
    blocks: tuple[BlockKeys, ...] = ()

    @property
    def frames(self) -> int:
        """How many frames the self-attention remembers."""
        return self.blocks[0].self_attention.key.shape[2] if self.blocks else 0

    def peek(self) -> Sequence[BlockKeys] | None:
        """What the transformer takes as `past`; None while nothing is remembered."""
        return self.blocks or None

    def commit(self, present: Sequence[BlockKeys], timestep: Tensor) -> KVCache:
        """The cache after a window whose keys are `present`.

        The window's last `context_frames` are left out: they are computed again, as context of
        the next window. Of the cross-attention keys those just before them stay. Raises
        ValueError unless every `timestep` of the pass that made the keys was 0: keys of noisy
        frames must never be remembered.
        """
        if bool((timestep != 0).any()):
            raise ValueError("only keys of clean frames (all timesteps 0) may be committed")
        drop = self.context_frames
        blocks = []
        for i, keys in enumerate(present):
            past = self.blocks[i].self_attention if self.blocks else None
            seen = keys.self_attention.after(past)
            stop = seen.key.shape[2] - drop
            cross_stop = keys.cross_attention.key.shape[2] - drop
            blocks.append(
                BlockKeys(
                    _kept(seen, max(0, stop - self.capacity), stop),
                    _kept(keys.cross_attention, max(0, cross_stop - drop), cross_stop),
                )
            )
        return KVCache(self.capacity, self.context_frames, tuple(blocks))
