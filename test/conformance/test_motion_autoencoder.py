"""Images to latents and back give the reference's numbers (sets A and B)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conformance import inputs
from conformance.conftest import PORTRAIT, close, images, samples_close, stored

from avatar_forcing_ros.model.motion_autoencoder import Appearance, MotionAutoencoder

LEVELS = 7


@pytest.fixture(scope="module")
def encoded(autoencoder: MotionAutoencoder) -> tuple[Appearance, torch.Tensor]:
    with torch.inference_mode():
        return autoencoder.enc(images([0, 3], PORTRAIT))


def test_encoder(autoencoder: MotionAutoencoder, encoded: tuple[Appearance, torch.Tensor]) -> None:
    expected = stored("A_motion_encoder")
    appearance, magnitudes = encoded
    close(appearance.code, expected["s_r"], 1e-5, 1e-5)
    close(magnitudes, expected["lam"], 2e-5, 2e-5)
    close(autoencoder.dec.direction(magnitudes), expected["r"], 1e-5, 1e-5)
    assert len(appearance.features) == LEVELS
    for i, feature in enumerate(appearance.features):
        samples_close(feature, expected, f"feat{i}", 1e-5, 1e-5)


def test_directions(autoencoder: MotionAutoencoder) -> None:
    expected = stored("A_motion_encoder")
    direction = autoencoder.dec.direction
    close(direction.basis, expected["Q"], 1e-6, 1e-6)
    latent = direction(torch.from_numpy(expected["lam_stated"]))
    close(latent, expected["r_of_lam_stated"], 1e-5, 1e-5)
    close(latent @ direction.basis, expected["lam_stated"], 1e-5, 1e-5)  # orthonormal


def test_decoder(autoencoder: MotionAutoencoder, encoded: tuple[Appearance, torch.Tensor]) -> None:
    """The image, and at every level the flow head's three results and the colours."""
    expected = stored("B_decoder")
    both, _ = encoded
    portrait = Appearance(both.code[:1], tuple(f[:1] for f in both.features))
    motion = torch.from_numpy(expected["r_d"])
    heads: dict[int, tuple[torch.Tensor, ...]] = {}
    hooks = [
        head.register_forward_hook(lambda _, __, out, i=i: heads.update({i: out}))
        for i, head in enumerate(autoencoder.dec.to_flows)
    ]
    with torch.inference_mode():
        images = autoencoder.dec.pyramid(portrait, motion)
    for hook in hooks:
        hook.remove()
    samples_close(images[-1], expected, "image", 1e-3, 3e-5)
    close(inputs.area64(images[-1].numpy()), expected["image_area64"], 2e-4, 1e-5)
    for i, image in enumerate(images):
        samples_close(image, expected, f"L{i}.rgb", 1e-3, 3e-5)
        for name, found in zip(("feat_warp", "out", "raw_flow"), heads[i], strict=True):
            samples_close(found, expected, f"L{i}.{name}", 1e-3, 3e-4)


def test_a_smaller_picture_is_a_level_of_the_full_one(
    autoencoder: MotionAutoencoder, encoded: tuple[Appearance, torch.Tensor]
) -> None:
    both, magnitudes = encoded
    motion = autoencoder.dec.direction(magnitudes)
    with torch.inference_mode():
        small = autoencoder.decode(both, motion, 4)
        smaller = autoencoder.decode(both, motion, 3)
    assert small.shape == (2, 3, 64, 64)
    assert smaller.shape == (2, 3, 32, 32)
    # coarser levels do not depend on finer ones
    coarse = torch.nn.functional.avg_pool2d(small, 2)
    assert float((coarse - smaller).square().mean()) < float(small.var())


def test_stated_inputs_are_those_that_were_stored() -> None:
    expected = stored("A_motion_encoder")
    drawn = images([0, 3], PORTRAIT).numpy().ravel()[expected["image.idx"]]
    assert np.array_equal(drawn, expected["image.val"])
