"""Transformer blocks with adaptive layer norm, one timestep per frame (DiT, arXiv 2212.09748)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from avatar_forcing_ros.model.attention import CrossAttention, KeysValues, Rotation, SelfAttention

NORM_EPS = 1e-6
TIMESTEP_CHANNELS = 256
TIMESTEP_MAX_PERIOD = 10_000.0


class BlockKeys(NamedTuple):
    """What one block remembers of earlier frames: its self- and cross-attention keys."""

    self_attention: KeysValues
    cross_attention: KeysValues


class AttentionContext(NamedTuple):
    """Where everything is, shared by all blocks of one forward pass.

    `rotation` is for the T positions of the present; `self_mask` ``[T, S + T]`` and `cross_mask`
    ``[T, S' + T]`` say what each frame may see (or ``[B, 1, T, …]``).
    """

    rotation: Rotation
    self_mask: Tensor
    cross_mask: Tensor


class Window(NamedTuple):
    """What passes over the same T frames share: a solver computes it once for all its steps.

    For each transformer block the rotated keys of the past, the keys of the T conditions, and
    these after those of the past.
    """

    attention: AttentionContext
    past: tuple[KeysValues | None, ...]
    conditions: tuple[KeysValues, ...]
    conditions_in_sight: tuple[KeysValues, ...]


class Modulation(NamedTuple):
    """What a timestep does to all blocks ``[B, T, 6 H]`` and to the final layer ``[B, T, 2 H]``.

    It depends on timesteps alone, so a sampler computes it once for all the steps of a schedule.
    """

    blocks: Tensor
    final: Tensor

    def spread(self, context: int, level: int, frames: int) -> Modulation:
        """Row 0 for the first `context` frames, row `level` for `frames` more: ``[1, T, …]``."""
        return Modulation(
            *(
                torch.cat(
                    (
                        table[:, :1].expand(-1, context, -1),
                        table[:, level : level + 1].expand(-1, frames, -1),
                    ),
                    dim=1,
                )
                for table in self
            )
        )


class TimestepEmbedder(nn.Module):
    """Sinusoid of the timestep (0…1000), then a small network: ``[B, T]`` to ``[B, T, H]``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIMESTEP_CHANNELS, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, timestep: Tensor) -> Tensor:
        half = TIMESTEP_CHANNELS // 2
        exponent = torch.arange(half, dtype=torch.float32, device=timestep.device) / half
        frequency = torch.exp(-math.log(TIMESTEP_MAX_PERIOD) * exponent)
        angle = timestep.float()[..., None] * frequency  # [B, T, 128]
        wave = torch.cat((angle.cos(), angle.sin()), dim=-1)  # [B, T, 256]
        return self.mlp(wave.to(next(self.mlp.parameters()).dtype))


class Mlp(nn.Module):
    """Two layers with tanh-GELU between."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU(approximate="tanh")
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """The adaptive half of an adaptive layer norm."""
    return torch.addcmul(shift, x, 1 + scale)


class Block(nn.Module):
    """Self-attention, cross-attention to the conditions, MLP; modulation comes from outside."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS, elementwise_affine=False)
        self.attn = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS, elementwise_affine=False)
        self.cross_attn = CrossAttention(dim, heads)
        self.norm3 = nn.LayerNorm(dim, eps=NORM_EPS, elementwise_affine=False)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(
        self,
        x: Tensor,
        modulation: tuple[Tensor, ...],
        past: KeysValues | None,
        conditions: KeysValues,
        attention: AttentionContext,
    ) -> tuple[Tensor, KeysValues]:
        """`x` and each of the six modulations are ``[B, T, H]``.

        `past` holds rotated keys of S frames, `conditions` those of all conditions in sight. The
        keys of `x`, unrotated, come back.
        """
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = modulation
        attended, keys = self.attn(
            modulate(self.norm1(x), shift_a, scale_a),
            past,
            attention.rotation,
            attention.self_mask,
        )
        x = x + gate_a * attended
        x = x + self.cross_attn(self.norm2(x), conditions, attention.cross_mask)
        x = x + gate_m * self.mlp(modulate(self.norm3(x), shift_m, scale_m))
        return x, keys


class FinalLayer(nn.Module):
    """Adaptive layer norm and a linear map from hidden width to motion width."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(dim, eps=NORM_EPS, elementwise_affine=False)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))
        self.linear = nn.Linear(dim, out_dim)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """`x` ``[B, T, H]``; `modulation` ``[B, T, 2 H]`` is what `adaLN_modulation` gave."""
        shift, scale = modulation.chunk(2, dim=-1)
        return self.linear(modulate(self.norm_final(x), shift, scale))
