"""A face picture to its appearance code, feature pyramid and motion magnitudes.

The encoder half of a latent image animator (arXiv 2203.09043) with the released model's names.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from avatar_forcing_ros.config import AutoencoderConfig
from avatar_forcing_ros.model.style_layers import (
    Activation,
    Blur,
    EqualConv2d,
    EqualLinear,
    conv_layer,
)

SMALLEST_PX = 4
CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}


def channels_at(size_px: int, limit: int) -> int:
    """Feature channels at a resolution."""
    return min(CHANNELS[size_px], limit)


class Appearance(NamedTuple):
    """What a picture looks like, apart from how its face moves."""

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
    """Pictures to appearance and to magnitudes along the motion directions."""

    def __init__(self, config: AutoencoderConfig, code_dim: int) -> None:
        super().__init__()
        self.net_app = AppearanceEncoder(config, code_dim)
        widths = [code_dim] * 5 + [config.directions]
        self.fc = nn.Sequential(*(EqualLinear(a, b) for a, b in pairwise(widths)))

    def forward(self, image: Tensor) -> tuple[Appearance, Tensor]:
        """Appearance, and magnitudes ``[B, directions]``, of `image` ``[B, 3, S, S]`` in -1…1."""
        appearance: Appearance = self.net_app(image)
        return appearance, self.fc(appearance.code)
