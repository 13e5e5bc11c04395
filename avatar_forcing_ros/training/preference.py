"""What is minimised, as modules: a training engine wraps one and calls it with a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.training.dataset import Batch
from avatar_forcing_ros.training.losses import (
    Chance,
    draw,
    flow_matching_loss,
    frame_weight,
    velocity_error,
)
from avatar_forcing_ros.training.preferences import Pairs
from avatar_forcing_ros.training.settings import PreferenceConfig, TrainingConfig

Figures = dict[str, Tensor]
"""Scalars by name; ``loss`` is what is minimised."""


class FlowMatching(nn.Module):
    """Diffusion forcing: the network's velocity is to be noise minus clean."""

    def __init__(self, model: MotionGenerator, training: TrainingConfig) -> None:
        super().__init__()
        self.model, self.training_config = model, training

    def forward(self, batch: Batch, noise: torch.Generator) -> Figures:
        """The loss of a batch; chance comes from `noise`, a generator of the host."""
        training = self.training_config
        device = batch.motion.device
        chance = draw(len(batch.motion), self.model.config, training, noise, device)
        with _attention(device):
            error = velocity_error(self.model, batch, chance)
        return {"loss": flow_matching_loss(error, chance, training)}


class Preference(nn.Module):
    """Diffusion-DPO in velocity form (arXiv 2311.12908; MODEL: preference step).

    The winner is a window as it was, the loser the model's own answer to the same voice when it
    neither saw nor heard the user. With both under the same noise, a network comes nearer to the
    winner, and not to the loser, than the frozen `before` is. The flow-matching loss of the
    winner keeps it a generator.
    """

    def __init__(
        self,
        model: MotionGenerator,
        before: MotionGenerator,
        training: TrainingConfig,
        preference: PreferenceConfig,
    ) -> None:
        super().__init__()
        self.model, self.before = model, before.requires_grad_(False)
        self.training_config, self.preference = training, preference

    def forward(self, pairs: Pairs, noise: torch.Generator) -> Figures:
        """The loss of a batch of pairs, and how often and how clearly the winner is preferred."""
        winner = pairs.winner
        count, device = len(winner.motion), winner.motion.device
        chance = draw(count, self.model.config, self.training_config, noise, device)
        with _attention(device):
            error_w, error_l = self._errors(self.model, pairs, chance)
            with torch.no_grad():
                before_w, before_l = self._errors(self.before, pairs, chance)
        weight = frame_weight(chance, self.training_config)

        def size(error: Tensor) -> Tensor:
            """Weighted mean square of each window ``[B]``, 0 where chance left it no noise."""
            total = (weight * error.square().mean(dim=-1)).sum(dim=1)
            return total / weight.sum(dim=1).clamp_min(1e-6)

        towards = size(error_w) - size(before_w)  # below 0: nearer to the winner than before
        away = size(error_l) - size(before_l)
        beta = self.preference.beta
        margin = -beta * (towards - away)
        # scaled so that at the beginning a change counts as much as it does in the flow loss
        preferred = -2.0 / beta * functional.logsigmoid(margin).mean()
        flow = flow_matching_loss(error_w, chance, self.training_config)
        return {
            "loss": preferred + self.preference.flow_weight * flow,
            "flow": flow,
            "preferred": (margin > 0).float().mean(),
            "margin": margin.mean(),
            "towards_winner": -towards.mean(),
            "towards_loser": -away.mean(),
        }

    @staticmethod
    def _errors(model: MotionGenerator, pairs: Pairs, chance: Chance) -> tuple[Tensor, Tensor]:
        """Errors on the winners and on the losers under the same conditions and noise."""
        winner = velocity_error(model, pairs.winner, chance)
        loser = velocity_error(model, pairs.winner._replace(motion=pairs.loser), chance)
        return winner, loser


@contextmanager
def _attention(device: torch.device) -> Iterator[None]:
    """On a CPU the fused attention's backward pass takes as long as all the rest: go without."""
    if device.type != "cpu":
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield
