"""The training loop, top to bottom: resume, batches, loss, step, average, validate, save."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from avatar_forcing_ros.config import ModelConfig, TrainingConfig
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.files import whole_file
from avatar_forcing_ros.model.checkpoint import Checkpoint, save_checkpoint
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.training.dataset import ConversationWindows
from avatar_forcing_ros.training.losses import flow_matching_loss

VALIDATION_BATCHES = 8
Report = Callable[[dict[str, float]], None]


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < config.warm_up_steps:
        return config.learning_rate * (step + 1) / config.warm_up_steps
    done = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))


class Trainer:
    """Trains a motion generator by diffusion forcing; everything needed to go on is in one file.

    Each step draws its batch and its noise from generators seeded by (seed, step), so a resumed
    run sees what an uninterrupted one would have seen.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        config: TrainingConfig,
        train: ConversationWindows,
        valid: ConversationWindows,
        folder: Path,
        initial: Checkpoint | None = None,
    ) -> None:
        """`initial` holds a generator to begin from (its normalisation is kept) and its origin.

        Raises CheckpointError if that generator is another network.
        """
        self.config, self.train, self.valid, self.folder = config, train, valid, folder
        torch.manual_seed(config.seed)
        self.model = MotionGenerator(model_config)
        self.begun_from: dict[str, Any] | None = None
        if initial:
            generator, self.begun_from = initial.generator, initial.origin
            if generator.config != model_config:
                raise CheckpointError(
                    "initial weights",
                    expected=f"a network of {model_config}",
                    got=f"one of {generator.config}",
                    remedy="give weights of the same preset",
                )
            self.model.load_state_dict(generator.state_dict())
        else:
            start_at_zero(self.model)
            mean, std = train.statistics()
            self.model.motion_mean.copy_(torch.from_numpy(mean))
            self.model.motion_std.copy_(torch.from_numpy(std))
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
        )
        self.step = 0

    @property
    def state_path(self) -> Path:
        return self.folder / "training_state.pt"

    def run(self, report: Report) -> None:
        """Train until the configured number of steps; `report` gets figures after every step."""
        while self.step < self.config.steps:
            started = time.perf_counter()
            figures = {"step": float(self.step + 1), "loss": self.train_step()}
            figures["step_s"] = time.perf_counter() - started
            if self.step % self.config.validate_every_steps == 0:
                figures["valid_loss"] = self.validate()
            report(figures)
            if self.step % self.config.checkpoint_every_steps == 0:
                self.save()
        self.save()

    def train_step(self) -> float:
        """One optimiser step; returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        rng = np.random.default_rng([self.config.seed, self.step])
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        batch = self.train.batch(self.config.batch_windows, rng)
        half = self.config.precision == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = flow_matching_loss(self.model, batch, self.config, noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.step += 1
        self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.config.ema_decay, (1.0 + self.step) / (10.0 + self.step))
        torch._foreach_lerp_(
            list(self.average.parameters()),
            [p.detach() for p in self.model.parameters()],
            1.0 - decay,
        )

    @torch.no_grad()
    def validate(self) -> float:
        """Mean loss of the averaged weights on fixed windows of conversations never trained on."""
        losses = []
        for i in range(VALIDATION_BATCHES):
            rng = np.random.default_rng([7, i])
            batch = self.valid.batch(self.config.batch_windows, rng)
            noise = torch.Generator().manual_seed(i)
            losses.append(float(flow_matching_loss(self.average, batch, self.config, noise)))
        return float(np.mean(losses))

    def save(self) -> None:
        """Write all that resuming needs, and beside it the averaged weights for use."""
        state = {
            "step": self.step,
            "config": self._config_text(),
            "begun_from": self.begun_from,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with whole_file(self.state_path) as part:
            torch.save(state, part)
        save_checkpoint(self.folder / "generator.safetensors", self.average, self.origin())

    def origin(self) -> dict[str, Any]:
        """How these weights came to be, for the checkpoint's metadata."""
        return {
            "method": "diffusion forcing on generated conversations",
            "steps": self.step,
            "conversations": len(self.train.conversations),
            "training": dataclasses.asdict(self.config),
            "begun_from": self.begun_from,
        }

    def resume(self) -> bool:
        """Go on from the folder's last state, if there is one; False if not.

        Raises CheckpointError if that state is damaged or belongs to another configuration.
        """
        if not self.state_path.exists():
            return False
        try:
            stored = torch.load(self.state_path, weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"training state {self.state_path}",
                expected="one that a training run wrote",
                got=f"one that cannot be read ({type(error).__name__})",
                remedy="remove it to begin anew",
            ) from error
        if stored["config"] != self._config_text():
            raise CheckpointError(
                f"training state {self.state_path}",
                expected="the configuration it was begun with",
                got="another one",
                remedy="train into an empty folder, or use the old configuration",
            )
        self.begun_from = stored["begun_from"]
        self.model.load_state_dict(stored["model"])
        self.average.load_state_dict(stored["average"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.step = int(stored["step"])
        return True

    def _config_text(self) -> str:
        training = dataclasses.asdict(self.config)
        return json.dumps([dataclasses.asdict(self.model.config), training], sort_keys=True)


def start_at_zero(model: MotionGenerator) -> None:
    """Let every block begin as the identity and the output as zero (adaLN-zero, DiT)."""
    transformer = model.flow_transformer
    for layer in (
        transformer.adaLN_modulation[1],
        transformer.final_layer.adaLN_modulation[1],
        transformer.final_layer.linear,
    ):
        assert isinstance(layer, nn.Linear)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
