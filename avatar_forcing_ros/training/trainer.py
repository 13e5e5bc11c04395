"""The training loop, top to bottom: resume, batches, loss, step, average, validate, save.

Lightning Fabric places the networks, runs them in half precision and synchronises several
processes or machines.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.model.checkpoint import Checkpoint, save_checkpoint
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.training.losses import FlowMatching
from avatar_forcing_ros.training.preference import Preference
from avatar_forcing_ros.training.settings import TrainingConfig

VALIDATION_BATCHES = 8
Report = Callable[[dict[str, float]], None]


class Batches(Protocol):
    """Where batches come from; a batch has ``to(device)``."""

    def batch(self, count: int, rng: np.random.Generator) -> Any:
        """`count` random windows."""


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < config.warm_up_steps:
        return config.learning_rate * (step + 1) / config.warm_up_steps
    done = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))


class Trainer:
    """Minimises an objective; everything needed to resume is in one file.

    A step's batches and noise come from generators seeded by (seed, step, part), so a resumed run
    sees what an uninterrupted one would have seen, and two processes see what one that
    accumulates two batches sees.
    """

    def __init__(
        self,
        fabric: Fabric,
        objective: FlowMatching | Preference,
        train: Batches,
        valid: Batches,
        config: TrainingConfig,
        folder: Path,
        initial: Checkpoint,
    ) -> None:
        """`initial` holds the generator that `objective` trains, and where it comes from.

        `train` holds the training windows, `valid` those of validation.
        """
        self.fabric, self.train, self.valid = fabric, train, valid
        self.config, self.folder, self.initial = config, folder, initial
        self.model = objective.model
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.validation = copy.copy(objective)  # of the averaged weights
        self.validation._modules = {**objective._modules, "model": self.average}
        optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.objective, self.optimizer = fabric.setup(objective, optimizer)
        self.average.to(fabric.device)
        self.step = 0

    @property
    def state_path(self) -> Path:
        return self.folder / "training_state.pt"

    def run(self, report: Report) -> None:
        """Train until the configured number of steps; `report` gets metrics after every step."""
        while self.step < self.config.steps:
            started = time.perf_counter()
            metrics = self.train_step()
            metrics["windows_per_s"] = self._windows_a_step / (time.perf_counter() - started)
            if self.step % self.config.validate_every_steps == 0:
                metrics |= {f"valid_{name}": value for name, value in self.validate().items()}
            report(metrics)
            if self.step % self.config.checkpoint_every_steps == 0:
                self.save()
        self.save()

    @property
    def _windows_a_step(self) -> int:
        parts = self.fabric.world_size * self.config.accumulate_batches
        return self.config.batch_windows * parts

    def train_step(self) -> dict[str, float]:
        """One optimiser step; its metrics, the loss among them, averaged over all batches."""
        config, fabric = self.config, self.fabric
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, config)
        total: dict[str, Tensor] = {}
        for k in range(config.accumulate_batches):
            part = fabric.global_rank * config.accumulate_batches + k
            rng = np.random.default_rng([config.seed, self.step, part])
            last = k == config.accumulate_batches - 1
            with fabric.no_backward_sync(self.objective, enabled=not last):
                metrics = self.objective(*self.draw(self.train, rng))
                fabric.backward(metrics["loss"] / config.accumulate_batches)
            for name, value in metrics.items():
                total[name] = total.get(name, 0.0) + value.detach() / config.accumulate_batches
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._update_average()
        shared: Any = fabric.all_reduce(total, reduce_op="mean")
        done = {name: float(value) for name, value in shared.items()}
        rate = self.optimizer.param_groups[0]["lr"]
        return {"step": self.step, **done, "gradient_norm": float(norm), "learning_rate": rate}

    def draw(self, source: Batches, rng: np.random.Generator) -> tuple[Any, torch.Generator]:
        """A batch on the device, and the generator of its noise."""
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return source.batch(self.config.batch_windows, rng).to(self.fabric.device), noise

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1.0 + self.step) / (10.0 + self.step))
        torch._foreach_lerp_(
            list(self.average.parameters()),
            [p.detach() for p in self.model.parameters()],
            1.0 - decay,
        )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean metrics of the averaged weights on fixed windows that are never trained on."""
        values_of: dict[str, list[float]] = {}
        for i in range(VALIDATION_BATCHES):
            rng = np.random.default_rng([7, i])
            for name, value in self.validation(*self.draw(self.valid, rng)).items():
                values_of.setdefault(name, []).append(float(value))
        return {name: float(np.mean(values)) for name, values in values_of.items()}

    def save(self) -> None:
        """Write all that resuming needs, and beside it the averaged weights for use."""
        if self.fabric.is_global_zero:
            state = {
                "step": self.step,
                "config": self._config_text(),
                "begun_from": self.initial.origin,
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
            _save_state(self.state_path, state)
            save_checkpoint(
                self.folder / "generator.safetensors",
                self.average,
                self.origin(),
                motion_autoencoder=self.initial.motion_autoencoder,
            )
        self.fabric.barrier()

    def origin(self) -> dict[str, Any]:
        """How these weights came to be, for the checkpoint's metadata."""
        origin = {
            "method": "diffusion forcing",
            "steps": self.step,
            "training": dataclasses.asdict(self.config),
            "batches_a_step": self.fabric.world_size * self.config.accumulate_batches,
            "begun_from": self.initial.origin or None,
        }
        if isinstance(self.validation, Preference):
            origin["method"] = "preference of real motion over motion made without the user"
            origin["preference"] = dataclasses.asdict(self.validation.preference)
        return origin

    def resume(self) -> bool:
        """Continue from the folder's last state, if there is one; False if not.

        Raises CheckpointError if that state is damaged or belongs to another configuration.
        """
        if not self.state_path.exists():
            return False
        try:
            stored = torch.load(self.state_path, "cpu", weights_only=True)
            same = stored["config"] == self._config_text()
            begun_from, step = stored["begun_from"], int(stored["step"])
            weights = stored["model"], stored["average"], stored["optimizer"]
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, LookupError) as error:
            raise CheckpointError(
                f"training state {self.state_path}",
                expected="one that a training run wrote",
                got=f"one that cannot be read ({type(error).__name__})",
                remedy="remove it to begin anew",
            ) from error
        if not same:
            raise CheckpointError(
                f"training state {self.state_path}",
                expected="the configuration it was begun with",
                got="another one",
                remedy="train into an empty folder, or use the old configuration",
            )
        self.initial, self.step = self.initial._replace(origin=begun_from), step
        for part, tensors in zip((self.model, self.average, self.optimizer), weights, strict=True):
            part.load_state_dict(tensors)
        return True

    def _config_text(self) -> str:
        parts: list[Any] = [dataclasses.asdict(self.model.config), dataclasses.asdict(self.config)]
        parts.append(self.fabric.world_size)  # another number would draw other batches
        if isinstance(self.validation, Preference):
            parts.append(dataclasses.asdict(self.validation.preference))
        return json.dumps(parts, sort_keys=True)


def _save_state(path: Path, state: dict[str, Any]) -> None:
    """Raises OutputError at the end of the room for it."""
    with atomic_write(path) as part, part.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # of positions that do not fit, after the device's own
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


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
