"""`device: auto` takes a GPU that computes, not one that torch only names."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.runtime import device_probe
from avatar_forcing_ros.runtime.load import device_of

PAPER = AvatarConfig(preset="paper")


@pytest.fixture(autouse=True)
def named_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch says that there is a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    device_probe.usable_cuda.cache_clear()
    yield
    device_probe.usable_cuda.cache_clear()


def test_a_gpu_that_computes_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_probe, "device_fault", lambda device: "")
    assert device_of(PAPER) == "cuda"
    assert device_of(AvatarConfig()) == "cpu"  # compact is as fast there


def test_a_gpu_that_cannot_is_left_and_the_log_says_why_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reason = "CUDA error: no kernel image is available for execution on the device"
    real = torch.ones

    def fail(*shape: int, device: str) -> torch.Tensor:
        if device == "cuda":
            raise RuntimeError(f"{reason}\nCUDA kernel errors might be reported later")
        return real(*shape, device=device)

    monkeypatch.setattr(torch, "ones", fail)
    with caplog.at_level(logging.WARNING):
        assert device_of(PAPER) == device_of(PAPER) == "cpu"
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(reason)
    assert device_of(AvatarConfig(preset="paper", device="cuda")) == "cuda"  # as it was asked for


def test_results_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_probe.device_fault("cpu") == ""
    monkeypatch.setattr(device_probe.functional, "conv2d", lambda x, weight: x * 0.0)
    assert "wrong results" in device_probe.device_fault("cpu")
