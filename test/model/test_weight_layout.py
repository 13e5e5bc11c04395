"""The motion autoencoder's layout in memory is no part of what it computes."""

from __future__ import annotations

import torch
from tiny import TINY_LATENT, tiny_autoencoder

from avatar_forcing_ros.model.motion_autoencoder import Appearance, FlowHead, channels_last
from avatar_forcing_ros.model.style_layers import ModulatedConv2d, StyledConv

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


@torch.inference_mode()
def test_channels_stay_last_all_through_the_decoder() -> None:
    """A sampled feature comes back channels first, and would turn all that follows."""
    net = channels_last(tiny_autoencoder())
    images = torch.zeros(2, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    (code, features), latents = net.encode(images)
    laid_out = [f.contiguous(memory_format=torch.channels_last) for f in features]
    turned, seen = [], []

    def look(name: str):
        def hook(module: object, given: object, out: torch.Tensor | tuple) -> None:
            for k, tensor in enumerate(out[:2] if isinstance(out, tuple) else [out]):
                seen.append(name)
                if not tensor.is_contiguous(memory_format=torch.channels_last):
                    turned.append(f"{name} {k}")

        return hook

    for name, part in net.dec.named_modules():
        if isinstance(part, StyledConv | FlowHead):
            part.register_forward_hook(look(name))
    net.decode(Appearance(code, tuple(laid_out)), latents)
    assert len(seen) > 10
    assert turned == []


@torch.inference_mode()
def test_float16_is_nearer_to_float32_than_bfloat16() -> None:
    """Several times, in images and in flows: the reason for an autoencoder of its own type."""
    exact = tiny_autoencoder()
    images = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    appearance, latents = exact.encode(images)
    expected, rms = exact.decode(appearance, latents), {}
    for dtype in (torch.float16, torch.bfloat16):
        net = tiny_autoencoder().to(dtype)
        cast = Appearance(
            appearance.code.to(dtype), tuple(f.to(dtype) for f in appearance.features)
        )
        error = net.decode(cast, latents.to(dtype)).float() - expected
        rms[dtype] = float(error.square().mean().sqrt())
    assert rms[torch.float16] < 0.3 * rms[torch.bfloat16]


def test_channels_last_keeps_every_weight_in_its_place() -> None:
    plain, laid_out = tiny_autoencoder(), channels_last(tiny_autoencoder())
    kernels = 0
    transposed = {
        name
        for name, part in plain.named_modules()
        if isinstance(part, ModulatedConv2d) and part.upsample
    }
    assert len(transposed) > 2
    for (name, mine), (_, theirs) in zip(
        plain.named_parameters(), laid_out.named_parameters(), strict=True
    ):
        assert torch.equal(mine, theirs), name
        if theirs.dim() in (4, 5):
            kernel = theirs if theirs.dim() == 4 else theirs[0]
            if name.removesuffix(".weight") in transposed:
                kernel = kernel.transpose(0, 1)
            assert kernel.is_contiguous(memory_format=torch.channels_last), name
            kernels += 1
    assert kernels > 20
