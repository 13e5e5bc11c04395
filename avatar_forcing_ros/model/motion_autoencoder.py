"""The latent motion space: face images to motion latents, and back to images of any portrait.

A latent image animator (arXiv 2203.09043) with the released model's names. The encoder finds a
portrait's appearance and the magnitudes of its motion along learned directions. In the decoder
every level predicts a flow and a mask; the portrait's features are warped by the flow and shine
through where the mask says so.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.config import AutoencoderConfig
from avatar_forcing_ros.model.kernel_fusion import chain
from avatar_forcing_ros.model.style_layers import (
    Activation,
    Blur,
    EqualConv2d,
    EqualLinear,
    ModulatedConv2d,
    StyledConv,
    Upsample,
    conv_layer,
)

SMALLEST_PX = 4
CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}


def channels_at(size_px: int, limit: int) -> int:
    """Feature channels at a resolution."""
    return min(CHANNELS[size_px], limit)


class Appearance(NamedTuple):
    """What an image looks like, apart from how its face moves."""

    code: Tensor  # [B, D]
    features: tuple[Tensor, ...]  # [B, C, n, n], n = 8 … image size


class ResidualBlock(nn.Module):
    """Half the size: two convolutions beside a blurred skip."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = conv_layer(in_channels, in_channels, 3)
        self.conv2 = nn.Sequential(
            Blur((2, 2)),
            EqualConv2d(in_channels, out_channels, 3, stride=2),
            Activation(out_channels),
        )
        # the stride stands in the blur: three quarters of its pixels would be thrown away
        self.skip = nn.Sequential(
            Blur((1, 1), stride=2), EqualConv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`x` ``[B, in, H, W]`` to ``[B, out, H / 2, W / 2]``."""
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2.0)


class AppearanceEncoder(nn.Module):
    """The convolutional pyramid."""

    def __init__(self, config: AutoencoderConfig, code_dim: int) -> None:
        super().__init__()
        size, limit = config.image_size_px, config.channel_limit
        layers: list[nn.Module] = [conv_layer(3, channels_at(size, limit), 1)]
        while size > SMALLEST_PX:
            layers.append(ResidualBlock(channels_at(size, limit), channels_at(size // 2, limit)))
            size //= 2
        layers.append(EqualConv2d(channels_at(SMALLEST_PX, limit), code_dim, SMALLEST_PX))
        self.convs = nn.ModuleList(layers)

    def forward(self, image: Tensor) -> Appearance:
        """`image` ``[B, 3, S, S]`` in -1…1."""
        stages, x = [], image
        for layer in self.convs:
            x = layer(x)
            stages.append(x)
        return Appearance(x.flatten(1), tuple(reversed(stages[:-2])))


class MotionEncoder(nn.Module):
    """Images to appearance and to magnitudes along the motion directions."""

    def __init__(self, config: AutoencoderConfig, code_dim: int) -> None:
        super().__init__()
        self.net_app = AppearanceEncoder(config, code_dim)
        widths = [code_dim] * 5 + [config.directions]
        self.fc = nn.Sequential(*(EqualLinear(a, b) for a, b in pairwise(widths)))

    def forward(self, image: Tensor) -> tuple[Appearance, Tensor]:
        """Appearance, and magnitudes ``[B, directions]``, of `image` ``[B, 3, S, S]`` in -1…1."""
        appearance: Appearance = self.net_app(image)
        return appearance, self.fc(appearance.code)


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
    """Where every image begins."""

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
        grid = identity_grid(x.shape[-1], x.device)
        warped, mixed = warped_mixture(x, flow, grid, feature)
        return warped, mixed, flow


def _warped_mixture(
    x: Tensor, flow: Tensor, grid: Tensor, feature: Tensor
) -> tuple[Tensor, Tensor]:
    """The `feature` warped by `flow` ``[B, 3, n, n]`` and masked; the same over what it hides."""
    # places stay in float32: at 512 pixels bfloat16 knows them to the nearest two only
    move = flow[:, :2].float().tanh().permute(0, 2, 3, 1)  # [B, n, n, 2]
    source = feature.float().expand(len(x), -1, -1, -1)
    mask = flow[:, 2:].sigmoid()
    warped = functional.grid_sample(source, grid + move, align_corners=False)
    warped = warped.to(x.dtype, memory_format=layout_of(x)) * mask
    return warped, warped + x * (1.0 - mask)


warped_mixture = chain(_warped_mixture)


class RgbHead(nn.Module):
    """Feature to colour, added to the coarser level's image."""

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
    """Appearance and motion to images."""

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
        """Images ``[B, 3, S, S]``, nominally -1…1 and not clamped.

        `appearance` is one portrait's or B of them, `motion` ``[B, D]``. With fewer `levels` than
        there are it stops early: each level less halves the side of the image.
        """
        return self.pyramid(appearance, motion, levels)[-1]

    def pyramid(
        self, appearance: Appearance, motion: Tensor, levels: int | None = None
    ) -> list[Tensor]:
        """The images of every level, coarse to fine: ``[B, 3, 8, 8]`` and up."""
        style = appearance.code + motion  # [B, D]
        x = self.conv1(self.input(len(style)), style)
        images: list[Tensor] = []
        flow: Tensor | None = None
        for i, feature in enumerate(appearance.features[:levels]):
            x = self.convs[2 * i + 1](self.convs[2 * i](x, style), style)
            warped, x, flow = self.to_flows[i](x, style, feature, flow)
            images.append(self.to_rgbs[i](warped, images[-1] if images else None))
        return images


class MotionAutoencoder(nn.Module):
    """Encoder and decoder that share one set of motion directions."""

    def __init__(self, config: AutoencoderConfig, motion_dim: int) -> None:
        super().__init__()
        self.config = config
        self.enc = MotionEncoder(config, motion_dim)
        self.dec = MotionDecoder(config, motion_dim)

    def encode(self, image: Tensor) -> tuple[Appearance, Tensor]:
        """Appearance, and motion latents ``[B, D]``, of images ``[B, 3, S, S]`` in -1…1."""
        appearance, magnitudes = self.enc(image)
        return appearance, self.dec.direction(magnitudes)

    def decode(self, appearance: Appearance, motion: Tensor, levels: int | None = None) -> Tensor:
        """Images ``[B, 3, S, S]`` of `motion` ``[B, D]`` (see `MotionDecoder`)."""
        return self.dec(appearance, motion, levels)


def channels_last(net: MotionAutoencoder) -> MotionAutoencoder:
    """`net` with its convolution weights laid out as tensor cores want them; the same function."""

    def laid_out(kernel: Tensor) -> Tensor:
        return kernel.contiguous(memory_format=torch.channels_last)

    for parameter in net.parameters():
        if parameter.dim() == 4:
            parameter.data = laid_out(parameter.data)
    for module in net.modules():
        if isinstance(module, ModulatedConv2d):
            kernel = module.weight.data[0]  # [out, in, k, k]; a transposed convolution's [in, out]
            swapped = kernel.transpose(0, 1)
            module.weight.data = (
                laid_out(swapped).transpose(0, 1) if module.upsample else laid_out(kernel)
            )[None]
    return net


def layout_of(x: Tensor) -> torch.memory_format:
    """Channels last where `x` ``[B, C, H, W]`` is, else what is there already."""
    is_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if is_last else torch.preserve_format


def from_pixels(pixels: Tensor) -> Tensor:
    """Images ``[B, S, S, 3]`` uint8 to the network's ``[B, 3, S, S]`` float32 in -1…1."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_pixels(image: Tensor) -> Tensor:
    """The network's ``[B, 3, S, S]`` to ``[B, S, S, 3]`` uint8, by a fixed mapping.

    Never by the smallest and largest value of a clip, which makes it flicker.
    """
    scaled = ((image.float().clamp(-1.0, 1.0) + 1.0) * 127.5).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
