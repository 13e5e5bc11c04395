"""The full-size networks, filled once for each worker, and the stored numbers beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conformance import inputs
from conformance.fill import values
from torch import nn
from torch.nn import functional

from avatar_forcing_ros.config import PAPER_MODEL
from avatar_forcing_ros.model.audio_encoders import SpeechEncoder
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

FOLDER = Path(__file__).parent

# patterns of the stated inputs (see inputs.py)
PORTRAIT = {
    "fx": [1.5, -2.0, 3.0],
    "fy": [2.0, 1.0, -2.5],
    "r": 6.0,
    "g": 36.0,
    "w": 0.35,
    "off": [0.05, -0.05, 0.0],
}
USER = {
    "fx": [2.2, 0.8, -1.4],
    "fy": [-1.2, 2.6, 1.8],
    "r": 5.0,
    "g": 22.0,
    "w": 0.18,
    "off": [0.0, 0.08, -0.08],
}
AVATAR_WAVE = {
    "a": [0.5, 0.3, 0.2, 0.1],
    "f": [180.0, 554.37, 1760.0, 3300.0],
    "ph": [0.0, 0.5, 1.0, 1.5],
    "fm": 3.0,
    "fe": 2.5,
}
USER_WAVE = {
    "a": [0.4, 0.4, 0.15, 0.1],
    "f": [240.0, 730.0, 1290.0, 4100.0],
    "ph": [0.3, 0.1, 2.0, 0.7],
    "fm": 2.2,
    "fe": 1.7,
}


def stored(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def images(numbers: list[int], pattern: dict) -> torch.Tensor:
    return torch.from_numpy(np.stack([inputs.image(k, pattern) for k in numbers]))


def close(found: torch.Tensor | np.ndarray, expected: np.ndarray, most: float, rms: float) -> None:
    """Every difference at most `most`, their root mean square at most `rms`."""
    error = np.asarray(found, np.float64) - expected
    assert error.shape == expected.shape
    assert np.abs(error).max() <= most
    assert np.sqrt(np.square(error).mean()) <= rms


def samples_close(
    found: torch.Tensor, expected: dict[str, np.ndarray], key: str, most: float, rms: float
) -> None:
    """The same for a large tensor of which some values and its shape were stored."""
    assert list(found.shape) == expected[f"{key}.shape"].tolist()
    close(found.numpy().ravel()[expected[f"{key}.idx"]], expected[f"{key}.val"], most, rms)


def whole_clip(samples: torch.Tensor, frames: int) -> torch.Tensor:
    """`samples` ``[B, n]`` made ``[B, 640 frames]`` by repeating the last one."""
    missing = frames * SAMPLES_PER_FRAME - samples.shape[-1]
    return functional.pad(samples, (0, missing), mode="replicate")


def filled(module: nn.Module, prefix: str) -> nn.Module:
    weights = {
        name: torch.from_numpy(values(prefix + name, tuple(parameter.shape)))
        for name, parameter in module.named_parameters()
    }
    module.load_state_dict(weights, strict=False)
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def autoencoder() -> MotionAutoencoder:
    net = MotionAutoencoder(PAPER_MODEL.autoencoder, PAPER_MODEL.motion_dim)
    return filled(net, "motion_autoencoder.")


@pytest.fixture(scope="session")
def speech_encoder() -> SpeechEncoder:
    net = SpeechEncoder(PAPER_MODEL.speech_encoder, PAPER_MODEL.audio_dim)
    return filled(net, "audio_encoder.")


@pytest.fixture(scope="session")
def transformer() -> FlowTransformer:
    return filled(FlowTransformer(PAPER_MODEL), "flow_transformer.")
