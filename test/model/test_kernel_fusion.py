"""Fused chains are the same function, and one that cannot be compiled costs a warning."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny import tiny_autoencoder
from torch import Tensor

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.model.kernel_fusion import Chain, fuse_chains, shifted_sum
from avatar_forcing_ros.model.motion_autoencoder import channels_last
from avatar_forcing_ros.runtime import load


@pytest.fixture
def fused() -> Iterator[None]:
    yield
    fuse_chains(fused=False)


@torch.inference_mode()
def test_fused_images_are_those_of_separate_operations(
    fused: None, caplog: pytest.LogCaptureFixture
) -> None:
    net = channels_last(tiny_autoencoder())
    side = net.config.image_size_px
    image = torch.rand(1, 3, side, side).contiguous(memory_format=torch.channels_last)
    appearance, latent = net.encode(image * 2 - 1)
    motion = latent * torch.linspace(0.5, 1.5, 4)[:, None]
    separate = net.decode(appearance, motion)
    fuse_chains()
    together = net.decode(appearance, motion)
    ours = [record for record in caplog.records if record.name.startswith("avatar_forcing_ros")]
    assert not ours  # all of them could be compiled
    assert not torch.equal(together, separate)  # they round elsewhere: that they are fused is seen
    torch.testing.assert_close(together, separate, atol=1e-4, rtol=0)
    fuse_chains(fused=False)
    assert torch.equal(net.decode(appearance, motion), separate)


def test_a_chain_that_cannot_be_compiled_runs_as_written(caplog: pytest.LogCaptureFixture) -> None:
    def doubled(x: Tensor) -> Tensor:
        return 2 * x

    def uncompilable(x: Tensor) -> Tensor:
        raise RuntimeError("no kernel")

    one = Chain(doubled, uncompilable)
    one.fuse()
    with caplog.at_level(logging.WARNING):
        assert [float(one(torch.ones(1))) for _ in range(2)] == [2.0, 2.0]
    (record,) = caplog.records
    assert "doubled could not be compiled" in record.message


def test_shifted_sums_are_a_convolution() -> None:
    x, taps = torch.randn(2, 3, 5, 7), torch.tensor([0.125, 0.375, 0.375, 0.125])
    kernel = taps.expand(3, 1, 1, -1)
    expected = torch.nn.functional.conv2d(x, kernel, groups=3)
    torch.testing.assert_close(shifted_sum(x, taps, 3), expected)


def test_without_a_gpu_fusing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = AvatarConfig(preset="paper", device="cpu", fuse_kernels=True)
    loaded = SimpleNamespace(generator=tiny_autoencoder(), motion_autoencoder=tiny_autoencoder())
    monkeypatch.setattr(load, "_weights", lambda config: Path(__file__))
    monkeypatch.setattr(load, "load_checkpoint", lambda path: loaded)
    monkeypatch.setattr(load, "_check_preset", lambda *arguments: None)
    with pytest.raises(ConfigError, match=r"fuse_kernels.*device 'cpu'"):
        load.load_avatar(config)
