"""A motion latent and a portrait's appearance to a picture.

Every level predicts a flow and a mask; the portrait's features are warped by the flow and shine
through where the mask says so (latent image animator, arXiv 2203.09043).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.config import AutoencoderConfig
from avatar_forcing_ros.model.motion_encoder import SMALLEST_PX, Appearance, channels_at
from avatar_forcing_ros.model.style_layers import (
    ModulatedConv2d,
    StyledConv,
    Upsample,
    conv_layer,
)

ORTHONORMAL_EPS = 1e-8


class Directions(nn.Module):
    """Orthonormal motion directions: magnitudes to a motion latent.

    `basis` ``[D, directions]`` is LAPACK's orthonormal factor of the weight, signs as they come.
    It is computed in float32 whenever weights are loaded, before anybody casts or moves them.
    """

    basis: Tensor

    def __init__(self, code_dim: int, directions: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(code_dim, directions))
        basis = torch.zeros(code_dim, directions, device="cpu")
        self.register_buffer("basis", basis, persistent=False)
        if not self.weight.is_meta:  # of shapes alone: the basis comes with the weights
            self._orthonormalise()

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._orthonormalise()

    @torch.no_grad()
    def _orthonormalise(self) -> None:
        basis, _ = torch.linalg.qr(self.weight.detach().cpu().float() + ORTHONORMAL_EPS)
        self.basis.copy_(basis)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """`magnitudes` ``[..., directions]`` to a motion latent ``[..., D]``."""
        return magnitudes @ self.basis.t()


class LearnedConstant(nn.Module):
    """Where every picture begins."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, SMALLEST_PX, SMALLEST_PX))

    def forward(self, batch: int) -> Tensor:
        """The constant for `batch` frames: ``[B, C, 4, 4]``."""
        return self.input.expand(batch, -1, -1, -1)


@cache  # a recorded graph may read a grid for ever; they are few
def _grid(size_px: int, device: torch.device) -> Tensor:
    at = torch.linspace(-1.0, 1.0, size_px, device=device)
    return torch.stack(torch.meshgrid(at, at, indexing="xy"), dim=-1)


def identity_grid(size_px: int, device: torch.device) -> Tensor:
    """Every pixel's own place, x before y: ``[n, n, 2]`` float32 in -1…1."""
    with torch.inference_mode(False):  # what is kept must be usable in training, too
        return _grid(size_px, device)


class FlowHead(nn.Module):
    """Warps the portrait's features to where the motion wants them."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = Upsample()
        self.conv = ModulatedConv2d(channels, 3, 1, style_dim, demodulate=False)

    def forward(
        self, x: Tensor, style: Tensor, feature: Tensor, coarser: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Warped and masked feature, mixture for the next level, and the raw flow of this one.

        `x` ``[B, C, n, n]``; `feature` ``[1 or B, C, n, n]``; `coarser` ``[B, 3, n / 2, n / 2]``.
        """
        flow = self.conv(x, style) + self.bias  # [B, 3, n, n]
        if coarser is not None:
            flow = flow + self.upsample(coarser)
        # places stay in float32: at 512 pixels bfloat16 knows them to the nearest two only
        move = flow[:, :2].float().tanh().permute(0, 2, 3, 1)  # [B, n, n, 2]
        grid = identity_grid(x.shape[-1], x.device) + move
        source = feature.float().expand(len(x), -1, -1, -1)
        mask = flow[:, 2:].sigmoid()
        warped = functional.grid_sample(source, grid, align_corners=False).to(x.dtype) * mask
        return warped, warped + x * (1.0 - mask), flow


class RgbHead(nn.Module):
    """Feature to colour, added to the coarser level's picture."""

    def __init__(self, channels: int, *, first: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if not first:
            self.upsample = Upsample()
        self.conv = conv_layer(channels, 3, 1)

    def forward(self, x: Tensor, coarser: Tensor | None) -> Tensor:
        """`x` ``[B, C, n, n]`` to ``[B, 3, n, n]``."""
        out = self.conv(x) + self.bias
        return out if coarser is None else out + self.upsample(coarser)


class MotionDecoder(nn.Module):
    """Appearance and motion to pictures."""

    def __init__(self, config: AutoencoderConfig, code_dim: int) -> None:
        super().__init__()
        limit = config.channel_limit
        channels = channels_at(SMALLEST_PX, limit)
        self.direction = Directions(code_dim, config.directions)
        self.input = LearnedConstant(channels)
        self.conv1 = StyledConv(channels, channels, code_dim)
        # released files carry a colour head for the smallest level; nothing reads it
        self.to_rgb1 = RgbHead(channels, first=True)
        self.convs, self.to_rgbs, self.to_flows = (nn.ModuleList() for _ in range(3))
        size = SMALLEST_PX
        while size < config.image_size_px:
            size *= 2
            here = channels_at(size, limit)
            self.convs.append(StyledConv(channels, here, code_dim, upsample=True))
            self.convs.append(StyledConv(here, here, code_dim))
            self.to_flows.append(FlowHead(here, code_dim))
            self.to_rgbs.append(RgbHead(here, first=False))
            channels = here

    def forward(self, appearance: Appearance, motion: Tensor, levels: int | None = None) -> Tensor:
        """Pictures ``[B, 3, S, S]``, nominally -1…1 and not clamped.

        `appearance` is one portrait's or B of them, `motion` ``[B, D]``. With fewer `levels` than
        there are it stops early: each level less halves the side of the picture.
        """
        return self.pyramid(appearance, motion, levels)[-1]

    def pyramid(
        self, appearance: Appearance, motion: Tensor, levels: int | None = None
    ) -> list[Tensor]:
        """The pictures of every level, coarse to fine: ``[B, 3, 8, 8]`` and up."""
        style = appearance.code + motion  # [B, D]
        x = self.conv1(self.input(len(style)), style)
        pictures: list[Tensor] = []
        flow: Tensor | None = None
        for i, feature in enumerate(appearance.features[:levels]):
            x = self.convs[2 * i + 1](self.convs[2 * i](x, style), style)
            warped, x, flow = self.to_flows[i](x, style, feature, flow)
            pictures.append(self.to_rgbs[i](warped, pictures[-1] if pictures else None))
        return pictures
