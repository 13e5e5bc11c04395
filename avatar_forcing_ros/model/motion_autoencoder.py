"""The latent motion space: pictures to motion latents, and back on any portrait."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avatar_forcing_ros.config import AutoencoderConfig
from avatar_forcing_ros.model.motion_decoder import MotionDecoder
from avatar_forcing_ros.model.motion_encoder import Appearance, MotionEncoder


class MotionAutoencoder(nn.Module):
    """Encoder and decoder that share one set of motion directions."""

    def __init__(self, config: AutoencoderConfig, motion_dim: int) -> None:
        super().__init__()
        self.config = config
        self.enc = MotionEncoder(config, motion_dim)
        self.dec = MotionDecoder(config, motion_dim)

    def encode(self, image: Tensor) -> tuple[Appearance, Tensor]:
        """Appearance, and motion latents ``[B, D]``, of pictures ``[B, 3, S, S]`` in -1…1."""
        appearance, magnitudes = self.enc(image)
        return appearance, self.dec.direction(magnitudes)

    def decode(self, appearance: Appearance, motion: Tensor, levels: int | None = None) -> Tensor:
        """Pictures ``[B, 3, S, S]`` of `motion` ``[B, D]`` (see `MotionDecoder`)."""
        return self.dec(appearance, motion, levels)


def channels_last(net: MotionAutoencoder) -> MotionAutoencoder:
    """`net` with its convolution weights laid out as tensor cores want them; the same function."""
    for parameter in net.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        elif parameter.dim() == 5:  # modulated: one more dimension in front
            parameter.data = parameter.data[0].contiguous(memory_format=torch.channels_last)[None]
    return net


def from_pixels(pixels: Tensor) -> Tensor:
    """Pictures ``[B, S, S, 3]`` uint8 to the network's ``[B, 3, S, S]`` float32 in -1…1."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_pixels(image: Tensor) -> Tensor:
    """The network's ``[B, 3, S, S]`` to ``[B, S, S, 3]`` uint8, by a fixed mapping.

    Never by the smallest and largest value of a clip, which makes it flicker.
    """
    scaled = ((image.float().clamp(-1.0, 1.0) + 1.0) * 127.5).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
