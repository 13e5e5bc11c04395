"""Attention with rotary positions, and the masks that say which frame may see which.

The layers take past keys and return new ones, and hold nothing. Keys are stored before rotation:
they never age, and the rotation is applied at use, relative to the oldest key in sight. A query at
position p and a key at position q meet as a function of p - q alone (RoPE, arXiv 2104.09864), so a
conversation can go on for ever without a table ending.

Masks are True where a frame (row) may see another (column). Where motion comes in blocks, block k
of N frames is frames k N to (k + 1) N of the conversation; a clip may begin inside a block.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

THETA = 10_000.0


class Rotation(NamedTuple):
    """Cosines and sines, each ``[T, head_dim / 2]``, for T positions."""

    cos: Tensor
    sin: Tensor

    def first(self, count: int) -> Rotation:
        """The rotation of the oldest `count` positions."""
        return Rotation(self.cos[:count], self.sin[:count])

    def last(self, count: int) -> Rotation:
        """The rotation of the newest `count` positions."""
        return Rotation(self.cos[-count:], self.sin[-count:])


@cache  # a recorded graph may read a table for ever; they are few and small
def _table(count: int, head_dim: int, device: torch.device, dtype: torch.dtype) -> Rotation:
    frequency = 1.0 / THETA ** (torch.arange(0, head_dim, 2, device=device).float() / head_dim)
    angle = torch.outer(torch.arange(count, device=device).float(), frequency)
    return Rotation(angle.cos().to(dtype), angle.sin().to(dtype))


def rotary_table(count: int, head_dim: int, like: Tensor) -> Rotation:
    """The rotation of `count` consecutive positions, on the device and in the type of `like`."""
    with torch.inference_mode(False):  # a cached table must be usable in training, too
        return _table(count, head_dim, like.device, like.dtype)


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn each pair of adjacent channels of `x` ``[B, heads, T, head_dim]``; same shape."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)  # [B, heads, T, head_dim / 2] each
    return torch.stack(
        (even * by.cos - odd * by.sin, even * by.sin + odd * by.cos), dim=-1
    ).flatten(-2)


class KeysValues(NamedTuple):
    """Keys and values of S frames, ``[B, heads, S, head_dim]`` each.

    Keys are unrotated wherever they are kept.
    """

    key: Tensor
    value: Tensor

    def rotated(self, by: Rotation) -> KeysValues:
        """The same with keys at their positions, as `SelfAttention` takes them."""
        return KeysValues(rotate(self.key, by), self.value)

    def after(self, past: KeysValues | None) -> KeysValues:
        """`past` followed by these frames."""
        if past is None:
            return self
        return KeysValues(
            torch.cat((past.key, self.key), dim=2), torch.cat((past.value, self.value), dim=2)
        )

    def with_room(self, frames: int) -> KeysValues:
        """These frames, and room for `frames` more that `ended_with` fills, again and again."""
        return KeysValues(*(functional.pad(each, (0, 0, 0, frames)) for each in self))

    def ended_with(self, last: KeysValues) -> KeysValues:
        """These frames with `last` written over the last of them: no copy of all the others."""
        start = self.key.shape[2] - last.key.shape[2]
        self.key[:, :, start:] = last.key
        self.value[:, :, start:] = last.value
        return self


def self_attention_mask(query: Tensor, key: Tensor, look_ahead_frames: int) -> Tensor:
    """Which of the frames `key` ``[S]`` each frame of `query` ``[T]`` may see: bool ``[T, S]``.

    A frame sees everything up to `look_ahead_frames` after itself.
    """
    return key[None, :] <= query[:, None] + look_ahead_frames


def cross_attention_mask(query: Tensor, key: Tensor, reach_frames: int) -> Tensor:
    """Conditions are seen within `reach_frames` on either side: bool ``[T, S]``."""
    return (query[:, None] - key[None, :]).abs() <= reach_frames


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What attention adds for a bool `mask`: zero, or minus infinity where nothing is seen."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, float("-inf"))


class SelfAttention(nn.Module):
    """Multi-head self-attention with rotary positions over past and present frames."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, past: KeysValues | None, rotation: Rotation, mask: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """`x` ``[B, T, H]``; `past` S frames, rotated; `mask` ``[T, S + T]``.

        `rotation` is for the T positions of `x`, whose keys are returned unrotated. A `past` of
        S + T frames has room for these, and is written to.
        """
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, heads, head_dim]
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # [B, heads, T, head_dim] each
        present = KeysValues(key, value)
        here = present.rotated(rotation)
        has_room = past is not None and past.key.shape[2] == mask.shape[-1]
        # [B, heads, S + T, head_dim]
        seen = past.ended_with(here) if past and has_room else here.after(past)
        out = functional.scaled_dot_product_attention(
            rotate(query, rotation), seen.key, seen.value, attn_mask=mask
        )
        return self.proj(out.transpose(1, 2).flatten(-2)), present


class CrossAttention(nn.Module):
    """Multi-head attention from motion frames to condition frames, without positions."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def keys(self, condition: Tensor) -> KeysValues:
        """Those of `condition` ``[B, T, H]``, for as long as it stays the same."""
        key, value = self.kv(condition).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return KeysValues(key, value)

    def forward(self, x: Tensor, seen: KeysValues, mask: Tensor) -> Tensor:
        """`x` ``[B, T, H]``; `seen` the keys of S + T conditions, `mask` ``[T, S + T]``."""
        query = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        out = functional.scaled_dot_product_attention(query, seen.key, seen.value, attn_mask=mask)
        return self.proj(out.transpose(1, 2).flatten(-2))


def block_span(
    frames: int, block_frames: int, first_in_block: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """First and one past the last frame of each frame's block: ``[T]`` each.

    `first_in_block` is the place of the clip's first frame in its block.
    """
    frame = torch.arange(frames, device=device)
    start = frame - (frame + first_in_block) % block_frames
    return start, start + block_frames


def condition_mask(
    frames: int,
    block_frames: int,
    history_frames: int,
    device: torch.device,
    first_in_block: int = 0,
) -> Tensor:
    """Which conditions a frame sees when streaming: bool ``[T, T]``.

    Those of its own block and of the history before it. Seeing a whole clip at once, as the paper
    trains, would show the future.
    """
    start, stop = block_span(frames, block_frames, first_in_block, device)
    seen = torch.arange(frames, device=device)
    return (seen >= (start - history_frames)[:, None]) & (seen < stop[:, None])


def parallel_masks(
    frames: int, block_frames: int, look_ahead_frames: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Masks for a clip twice in a row, clean and noisy: bool ``[2 T, 2 T]`` and ``[2 T, T]``.

    Every noisy block sees itself and the clean blocks before it, every clean one itself and those
    before it, as in a stream whose blocks are causal. The second mask is for the conditions, of
    which there is one for each frame.
    """
    start, stop = block_span(frames, block_frames, 0, device)
    frame = torch.arange(frames, device=device)
    ahead = frame[None, :] <= frame[:, None] + look_ahead_frames  # [T, T]
    inside = (frame >= start[:, None]) & (frame < stop[:, None])
    before = frame < start[:, None]
    own = ahead & inside
    nothing = torch.zeros_like(own)
    clean = torch.cat((own | before, nothing), dim=1)  # [T, 2 T]
    noisy = torch.cat((before, own), dim=1)
    near = (frame[:, None] - frame[None, :]).abs() <= look_ahead_frames
    conditions = near & (frame < stop[:, None])  # [T, T]
    return torch.cat((clean, noisy)), torch.cat((conditions, conditions))
