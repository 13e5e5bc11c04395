"""Networks of shapes alone, waiting for a file's values.

Drawing 293 million random numbers only to overwrite them costs three seconds and 1.2 GB. What no
file holds (kernels) is there from the start, and the motion directions come with their weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder

AUTOENCODER_PREFIX = "motion_autoencoder."


class Networks(NamedTuple):
    """A motion generator and, in the latent motion space, its autoencoder."""

    generator: MotionGenerator
    motion_autoencoder: MotionAutoencoder | None

    def tensors(self) -> dict[str, Tensor]:
        """All that a file holds of them, under full names."""
        named: dict[str, Tensor] = dict(self.generator.state_dict())
        if self.motion_autoencoder is not None:
            for name, tensor in self.motion_autoencoder.state_dict().items():
                named[AUTOENCODER_PREFIX + name] = tensor
        return named

    def fill(self, tensors: Mapping[str, Tensor]) -> Networks:
        """Give them copies of `tensors`, named and shaped as `tensors()` is, in float32.

        They end in evaluation mode without gradients. Copies, because what was read may still be
        a view of a file, which somebody could cut short while the avatar talks.
        """
        own: dict[str, Tensor] = {}
        autoencoders: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            copy = tensor.detach().to(torch.float32, copy=True).contiguous()
            part = autoencoders if name.startswith(AUTOENCODER_PREFIX) else own
            part[name.removeprefix(AUTOENCODER_PREFIX)] = copy
        self.generator.load_state_dict(own, assign=True)
        self.generator.eval().requires_grad_(False)
        if self.motion_autoencoder is not None:
            self.motion_autoencoder.load_state_dict(autoencoders, assign=True)
            self.motion_autoencoder.eval().requires_grad_(False)
        return self


def unfilled(config: ModelConfig, *, autoencoder: bool) -> Networks:
    """The networks of `config`, whose parameters have shapes and no values yet.

    Raises MissingDependencyError where its speech encoder needs a package that is not there.
    """
    with torch.device("meta"):
        return Networks(
            MotionGenerator(config),
            MotionAutoencoder(config.autoencoder, config.motion_dim) if autoencoder else None,
        )
