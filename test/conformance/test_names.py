"""The networks at full size have exactly the release's names and shapes; nothing is allocated."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from avatar_forcing_ros.config import PAPER_MODEL
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder

MANIFEST = json.loads((Path(__file__).parent / "manifest.json").read_text())
OURS = {"motion_mean": [512], "motion_std": [512]}  # identity for the release's latents


def shapes(network: torch.nn.Module, prefix: str = "") -> dict[str, list[int]]:
    return {prefix + name: list(t.shape) for name, t in network.state_dict().items()}


def test_the_motion_autoencoder_has_the_releases_names() -> None:
    with torch.device("meta"):
        network = MotionAutoencoder(PAPER_MODEL.autoencoder, PAPER_MODEL.motion_dim)
    expected = MANIFEST["motion_autoencoder.pth"]
    assert len(expected) == 177
    assert shapes(network, "motion_autoencoder.") == expected


def test_the_generator_has_the_releases_names() -> None:
    with torch.device("meta"):
        network = MotionGenerator(PAPER_MODEL)
    expected = MANIFEST["flow_transformer.pth"] | MANIFEST["wav2vec2"]
    assert len(expected) == 150 + 211
    assert shapes(network) == expected | OURS
