"""The motion autoencoder's layout in memory is no part of what it computes."""

from __future__ import annotations

import torch
from tiny import TINY_LATENT, tiny_autoencoder

from avatar_forcing_ros.model.motion_autoencoder import channels_last

SIZE = TINY_LATENT.autoencoder.image_size_px


@torch.inference_mode()
def test_channels_last_is_the_same_function() -> None:
    plain, laid_out = tiny_autoencoder(), channels_last(tiny_autoencoder())
    strides = [[p.stride() for p in net.parameters()] for net in (plain, laid_out)]
    assert strides[0] != strides[1]
    images = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (one, latents), (other, again) = plain.encode(images), laid_out.encode(images)
    torch.testing.assert_close(again, latents, atol=1e-5, rtol=0)
    for mine, theirs in zip(one.features, other.features, strict=True):
        torch.testing.assert_close(theirs, mine, atol=1e-4, rtol=0)
    images = plain.decode(one, latents)
    torch.testing.assert_close(laid_out.decode(one, latents), images, atol=1e-4, rtol=0)
    assert images.std() > 0.01


def test_channels_last_keeps_every_weight_in_its_place() -> None:
    plain, laid_out = tiny_autoencoder(), channels_last(tiny_autoencoder())
    kernels = 0
    for (name, mine), (_, theirs) in zip(
        plain.named_parameters(), laid_out.named_parameters(), strict=True
    ):
        assert torch.equal(mine, theirs), name
        if theirs.dim() in (4, 5):
            kernel = theirs if theirs.dim() == 4 else theirs[0]
            assert kernel.is_contiguous(memory_format=torch.channels_last), name
            kernels += 1
    assert kernels > 20
