"""Self- and cross-attention that take past keys and return new ones, and hold nothing.

Keys are stored before rotation: they never age, and the rotation is applied at use, relative to
the oldest key in sight (see `rotary`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.model.rotary import Rotation, rotate


class KeysValues(NamedTuple):
    """Keys and values of S frames, ``[B, heads, S, head_dim]`` each; keys are unrotated."""

    key: Tensor
    value: Tensor

    def after(self, past: KeysValues | None) -> KeysValues:
        """`past` followed by these frames."""
        if past is None:
            return self
        return KeysValues(
            torch.cat((past.key, self.key), dim=2), torch.cat((past.value, self.value), dim=2)
        )


def self_attention_mask(query: Tensor, key: Tensor, look_ahead_frames: int) -> Tensor:
    """Which of the frames `key` ``[S]`` each frame of `query` ``[T]`` may see: bool ``[T, S]``.

    A frame sees everything up to `look_ahead_frames` after itself.
    """
    return key[None, :] <= query[:, None] + look_ahead_frames


def cross_attention_mask(query: Tensor, key: Tensor, reach_frames: int) -> Tensor:
    """Conditions are seen within `reach_frames` on either side: bool ``[T, S]``."""
    return (query[:, None] - key[None, :]).abs() <= reach_frames


class SelfAttention(nn.Module):
    """Multi-head self-attention with rotary positions over past and present frames."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, past: KeysValues | None, turn: Rotation, mask: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """`x` ``[B, T, H]``, `turn` for all S + T positions, `mask` ``[T, S + T]``."""
        frames = x.shape[1]
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, heads, head_dim]
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # [B, heads, T, head_dim] each
        present = KeysValues(key, value)
        seen = present.after(past)  # [B, heads, S + T, head_dim]
        out = functional.scaled_dot_product_attention(
            rotate(query, turn.last(frames)), rotate(seen.key, turn), seen.value, attn_mask=mask
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

    def forward(
        self, x: Tensor, condition: Tensor, past: KeysValues | None, mask: Tensor
    ) -> tuple[Tensor, KeysValues]:
        """`x`, `condition` ``[B, T, H]``, `mask` ``[T, S + T]``."""
        query = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.kv(condition).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        present = KeysValues(key, value)
        seen = present.after(past)  # [B, heads, S + T, head_dim]
        out = functional.scaled_dot_product_attention(query, seen.key, seen.value, attn_mask=mask)
        return self.proj(out.transpose(1, 2).flatten(-2)), present
