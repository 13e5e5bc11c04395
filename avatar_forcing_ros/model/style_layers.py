"""Layers of the motion autoencoder: equalised, modulated, resampled (StyleGAN2, arXiv 1912.04958).

Equalised learning rate: a stored weight of unit variance is multiplied by ``1 / sqrt(fan_in)`` at
run time. Resampling is the separable kernel [1, 3, 3, 1], two one-dimensional depthwise passes.
Kernels are made on the CPU by name: a network of shapes alone (device meta) still has them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.model.kernel_fusion import chain, shifted_sum

SLOPE, GAIN = 0.2, math.sqrt(2.0)
DEMODULATION_EPS = 1e-8
TAPS = (0.125, 0.375, 0.375, 0.125)


class EqualConv2d(nn.Module):
    """A convolution without bias, its weight scaled at run time."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.scale = 1.0 / math.sqrt(in_channels * kernel**2)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """`x` ``[B, in, H, W]``."""
        weight = self.weight * self.scale
        return functional.conv2d(x, weight, stride=self.stride, padding=self.padding)


class EqualLinear(nn.Module):
    """A linear map, its weight scaled at run time."""

    def __init__(self, in_dim: int, out_dim: int, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim))
        self.bias = nn.Parameter(torch.full((out_dim,), bias))
        self.scale = 1.0 / math.sqrt(in_dim)

    def forward(self, x: Tensor) -> Tensor:
        """`x` ``[B, in]``."""
        return functional.linear(x, self.weight * self.scale, self.bias)


def _activated(x: Tensor, bias: Tensor) -> Tensor:
    return functional.leaky_relu(x + bias, SLOPE) * GAIN


class Activation(nn.Module):
    """Leaky ReLU of ``x + bias``, times the gain that keeps its variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`x` ``[B, C, H, W]``."""
        return _activated(x, self.bias)


class Blur(nn.Module):
    """The [1, 3, 3, 1] kernel over both axes after padding with zeros, every `stride`-th pixel."""

    taps: Tensor

    def __init__(self, padding: tuple[int, int], stride: int = 1, gain: float = 1.0) -> None:
        """`padding` before and after; `gain` is what an up-sampling by 2 loses: 4."""
        super().__init__()
        self.padding, self.stride = padding, stride
        taps = torch.tensor(TAPS, device="cpu") * math.sqrt(gain)
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`x` ``[B, C, H, W]``."""
        return _blurred(x, self.taps, self.padding, self.stride)


def _blurred(x: Tensor, taps: Tensor, padding: tuple[int, int], stride: int = 1) -> Tensor:
    channels = x.shape[1]
    x = functional.pad(x, padding * 2)
    row = taps.expand(channels, 1, 1, -1)
    x = functional.conv2d(x, row, stride=(1, stride), groups=channels)
    column = taps[:, None].expand(channels, 1, -1, -1)
    return functional.conv2d(x, column, stride=(stride, 1), groups=channels)


class Upsample(nn.Module):
    """Twice the size by the [1, 3, 3, 1] kernel, zeros beyond the border."""

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor(TAPS, device="cpu") * 2.0
        self.register_buffer("taps", torch.outer(row, row), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`x` ``[B, C, H, W]`` to ``[B, C, 2 H, 2 W]``; for few channels."""
        channels = x.shape[1]
        kernel = self.taps.expand(channels, 1, -1, -1)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels are scaled by a style, frame by frame.

    The style scales activations instead of weights, which is the same function and lets all
    frames of a batch share one weight. With `demodulate` the output has unit variance again.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, out_channels, in_channels, kernel, kernel))
        self.modulation = EqualLinear(style_dim, in_channels, bias=1.0)
        self.scale = 1.0 / math.sqrt(in_channels * kernel**2)
        self.demodulate, self.upsample = demodulate, upsample
        if upsample:
            self.blur = Blur((1, 1), gain=4.0)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """`x` ``[B, in, H, W]``, `style` ``[B, style_dim]``."""
        x, demodulation = self.convolve(x, style)
        x = x if demodulation is None else x * demodulation
        return self.blur(x) if self.upsample else x

    def convolve(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor | None]:
        """The convolution alone, and what it is to be multiplied by ``[B, out, 1, 1]``, if any."""
        weight = self.weight[0]  # [out, in, k, k]
        scale = self.modulation(style) * self.scale  # [B, in]
        x = x * scale[:, :, None, None]
        if self.upsample:
            x = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        else:
            x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return x, None
        # float16 knows neither the squares of small scales nor the epsilon
        squares = weight.float().square().sum(dim=(2, 3))  # [out, in]
        power = scale.float().square() @ squares.t()  # [B, out]
        return x, torch.rsqrt(power + DEMODULATION_EPS).to(x.dtype)[:, :, None, None]


def _demodulated(x: Tensor, demodulation: Tensor, bias: Tensor) -> Tensor:
    """What follows a convolution: demodulation, bias, leaky ReLU, gain; ``[B, C, H, W]``."""
    return _activated(x * demodulation, bias)


def _demodulated_blurred(x: Tensor, demodulation: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """The same after an up-sampling one, with its blur: ``[B, C, H + 1, W + 1]`` to H, W."""
    return _activated(_blurred(x * demodulation, taps, (1, 1)), bias)


def _demodulated_blurred_by_element(
    x: Tensor, demodulation: Tensor, taps: Tensor, bias: Tensor
) -> Tensor:
    x, weights = functional.pad(x * demodulation, (1, 1, 1, 1)), taps.float()
    x = shifted_sum(shifted_sum(x.float(), weights, 3), weights, 2)
    return _activated(x, bias.float()).to(demodulation.dtype)


demodulated = chain(_demodulated)
demodulated_blurred = chain(_demodulated_blurred, _demodulated_blurred_by_element)


class NoiseStrength(nn.Module):
    """A parameter that the released files carry and that nothing reads at inference."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class StyledConv(nn.Module):
    """Modulated 3 x 3 convolution and activation."""

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, *, upsample: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, style_dim, upsample=upsample)
        self.noise = NoiseStrength()
        self.activate = Activation(out_channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """`x` ``[B, in, H, W]``, `style` ``[B, style_dim]``."""
        x, demodulation = self.conv.convolve(x, style)
        if self.conv.upsample:
            return demodulated_blurred(x, demodulation, self.conv.blur.taps, self.activate.bias)
        return demodulated(x, demodulation, self.activate.bias)


def conv_layer(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """Convolution that keeps the size, and activation."""
    return nn.Sequential(
        EqualConv2d(in_channels, out_channels, kernel, padding=kernel // 2),
        Activation(out_channels),
    )
