"""Which number format each network takes where, and what float32 means on a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from avatar_forcing_ros.config import AvatarConfig, merged_config
from avatar_forcing_ros.model.precision import use_exact_float32
from avatar_forcing_ros.runtime.load import autoencoder_dtype_of, dtype_of

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def paper(device: str, precision: str) -> AvatarConfig:
    return merged_config({}, {"preset": "paper", "device": device, "precision": precision})


@pytest.mark.parametrize(
    ("device", "precision", "generator", "autoencoder"),
    [
        ("cuda", "auto", BF16, FP16),
        ("cuda:1", "bfloat16", BF16, FP16),
        ("cuda", "float32", FP32, FP32),
        ("cpu", "auto", FP32, FP32),
        ("cpu", "bfloat16", BF16, BF16),
    ],
)
def test_on_a_gpu_the_autoencoder_takes_float16(
    device: str, precision: str, generator: torch.dtype, autoencoder: torch.dtype
) -> None:
    config = paper(device, precision)
    assert (dtype_of(config), autoencoder_dtype_of(config)) == (generator, autoencoder)


def test_the_compact_preset_stays_in_float32() -> None:
    assert dtype_of(AvatarConfig(device="cuda")) is FP32


@pytest.fixture
def tf32() -> Iterator[None]:
    """TF32 as torch has it by default, whatever was set before."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.usefixtures("tf32")
def test_float32_is_never_rounded_to_tf32() -> None:
    use_exact_float32()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
