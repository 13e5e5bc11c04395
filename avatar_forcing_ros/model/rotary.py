"""Rotary position encoding (RoPE, arXiv 2104.09864), on pairs of adjacent channels.

A query at position p and a key at position q meet as a function of p - q alone. So positions are
counted from the oldest key in sight, and a conversation can go on for ever without a table ending.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

THETA = 10_000.0


class Rotation(NamedTuple):
    """Cosines and sines, each ``[T, head_dim / 2]``, for T positions."""

    cos: Tensor
    sin: Tensor

    def last(self, count: int) -> Rotation:
        """The rotation of the newest `count` positions."""
        return Rotation(self.cos[-count:], self.sin[-count:])


@cache  # a recorded graph may read a table for ever; they are few and small
def _table(count: int, head_dim: int, device: torch.device, dtype: torch.dtype) -> Rotation:
    frequency = 1.0 / THETA ** (torch.arange(0, head_dim, 2, device=device).float() / head_dim)
    angle = torch.outer(torch.arange(count, device=device).float(), frequency)
    return Rotation(angle.cos().to(dtype), angle.sin().to(dtype))


def rotation(count: int, head_dim: int, like: Tensor) -> Rotation:
    """The rotation of `count` consecutive positions, on the device and in the type of `like`."""
    with torch.inference_mode(False):  # a cached table must be usable in training, too
        return _table(count, head_dim, like.device, like.dtype)


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn each pair of adjacent channels of `x` ``[B, heads, T, head_dim]``; same shape."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)  # [B, heads, T, head_dim / 2] each
    return torch.stack(
        (even * by.cos - odd * by.sin, even * by.sin + odd * by.cos), dim=-1
    ).flatten(-2)
