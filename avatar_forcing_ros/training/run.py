"""Training runs from a folder of conversations and a settings file, with progress and curves."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from avatar_forcing_ros.config import PRESETS, ModelConfig
from avatar_forcing_ros.errors import CheckpointError, ConfigError
from avatar_forcing_ros.model.audio_encoders import SpeechEncoder
from avatar_forcing_ros.model.checkpoint import Checkpoint, load_checkpoint
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.strict import from_mapping, read_yaml
from avatar_forcing_ros.training.dataset import SPLITS, ConversationWindows
from avatar_forcing_ros.training.losses import FlowMatching
from avatar_forcing_ros.training.preference import (
    PairWindows,
    Preference,
    make_losing_samples,
)
from avatar_forcing_ros.training.settings import PreferenceConfig, TrainingConfig
from avatar_forcing_ros.training.trainer import Report, Trainer, start_at_zero

SMOOTHING = 0.02
FABRIC_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@dataclass(frozen=True)
class Run:
    """Where a run reads and writes, and what it runs on."""

    data: Path
    folder: Path
    preset: str = "compact"
    settings: Path | None = None
    initial: Path | None = None
    """Checkpoint to begin from; None: random weights."""
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1


def train_flow(run: Run) -> None:
    """Train a generator by diffusion forcing on the conversations in ``run.data``.

    A run that the folder already holds is resumed. Writes ``generator.safetensors`` (averaged
    weights) and ``training_state.pt`` at every checkpoint, and curves for TensorBoard. Raises
    ConfigError, MediaError or CheckpointError for settings, data or weights that do not fit.
    """
    config = _settings(TrainingConfig, run.settings)
    fabric = _fabric(run, config)
    model = PRESETS[run.preset].model
    train, valid = (ConversationWindows(run.data, split, model) for split in SPLITS)
    torch.manual_seed(config.seed)
    initial = _initial_checkpoint(run, model, train)
    objective = FlowMatching(_trainable(initial.generator), config)
    _train(run, Trainer(fabric, objective, train, valid, config, run.folder, initial))


def train_preference(run: Run) -> None:
    """Make losing samples with ``run.initial``, then train it to prefer real motion to them.

    Writes what `train_flow` writes, and the samples in ``losing/train`` and ``losing/valid``, by
    kind.
    Raises as `train_flow` does, and ConfigError without a model to begin from.
    """
    config = _settings(PreferenceConfig, run.settings)
    if run.initial is None:
        raise ConfigError(
            "preference training",
            expected="a trained model to begin from",
            got="none",
            remedy="give --init with the weights of 'avatar-forcing train flow'",
        )
    fabric = _fabric(run, config.training)
    initial, before = (load_checkpoint(run.initial) for _ in range(2))
    model = initial.generator.config
    _require_preset(model, run)
    windows = {split: ConversationWindows(run.data, split, model) for split in SPLITS}
    counts = {"train": config.conversations, "valid": max(16, config.conversations // 20)}
    losing = run.folder / "losing"
    if fabric.is_global_zero:
        before.generator.to(fabric.device)
        for split, kind in itertools.product(SPLITS, config.losing_kinds):
            _make_losing(losing / split / kind, windows[split], before, run, counts[split])
    fabric.barrier()
    train, valid = (
        PairWindows(windows[split], [losing / split / kind for kind in config.losing_kinds])
        for split in SPLITS
    )
    objective = Preference(_trainable(initial.generator), before.generator, config)
    _train(run, Trainer(fabric, objective, train, valid, config.training, run.folder, initial))


def _settings(kind: type[Any], path: Path | None) -> Any:
    values = read_yaml(path) if path else {}
    return from_mapping(kind, values, path.name if path else "training")


def _fabric(run: Run, config: TrainingConfig) -> Fabric:
    precision: Any = FABRIC_PRECISION[config.precision]
    many = run.devices * run.nodes > 1
    try:
        fabric = Fabric(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.nodes,
            # the others wait while one makes losing samples
            strategy=DDPStrategy(timeout=timedelta(hours=12)) if many else "auto",
            precision=precision,
        )
    except (RuntimeError, ValueError, TypeError, ImportError) as error:
        raise ConfigError(
            "training devices",
            expected="an accelerator and a number of devices that this machine has",
            got=f"'{run.accelerator}', {run.devices} ({error})",
            remedy="correct --accelerator and --devices",
        ) from error
    fabric.launch()
    return fabric


def _initial_checkpoint(run: Run, model: ModelConfig, windows: ConversationWindows) -> Checkpoint:
    """The generator to train, its origin, and the autoencoder that it came with."""
    if run.initial:
        loaded = load_checkpoint(run.initial)
        _require_preset(loaded.generator.config, run)
        return loaded
    if model.audio_encoder == "wav2vec2":
        raise ConfigError(
            "training from nothing",
            expected="weights to begin from: the speech encoder was trained on far more audio",
            got="none",
            remedy="give --init with weights of this preset (see 'avatar-forcing weights')",
        )
    generator = MotionGenerator(model)
    start_at_zero(generator)
    mean, std = windows.statistics()
    generator.motion_mean.copy_(torch.from_numpy(mean))
    generator.motion_std.copy_(torch.from_numpy(std))
    return Checkpoint(generator, None, {})


def _require_preset(found: ModelConfig, run: Run) -> None:
    model = PRESETS[run.preset].model
    if found != model:
        raise CheckpointError(
            f"initial weights {run.initial}",
            expected=f"a network of {model}",
            got=f"one of {found}",
            remedy="give weights of the same preset, or name it with --preset",
        )


def _trainable(generator: MotionGenerator) -> MotionGenerator:
    """All of it but a speech encoder, which was trained on far more audio than there is here."""
    generator.train().requires_grad_(True)
    if isinstance(generator.audio_encoder, SpeechEncoder):
        generator.audio_encoder.wav2vec2.requires_grad_(False)
        generator.audio_encoder.wav2vec2.eval()
    return generator


def _make_losing(
    folder: Path, windows: ConversationWindows, before: Checkpoint, run: Run, count: int
) -> None:
    count = min(count, len(windows.conversations))
    sampling = replace(PRESETS[run.preset].sampling, seed=0)
    name = f"losing samples, {folder.parent.name}, {folder.name}"
    with tqdm(total=count, desc=name, unit="conversation", disable=None) as bar:
        made = make_losing_samples(
            folder, windows, before.generator, sampling, count, kind=folder.name
        )
        for done in made:
            bar.update(done)


def _train(run: Run, trainer: Trainer) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    is_main = trainer.fabric.is_global_zero
    if trainer.resume() and is_main:
        print(f"Resuming from step {trainer.step} of {run.folder}")
    with _progress(run.folder, trainer, shown=is_main) as report:
        trainer.run(report)
    if is_main:
        print(f"Wrote {run.folder / 'generator.safetensors'}")


@contextmanager
def _progress(folder: Path, trainer: Trainer, *, shown: bool) -> Iterator[Report]:
    """Reports a run as it goes: a progress bar with the smoothed loss, and TensorBoard curves."""
    if not shown:
        yield lambda metrics: None
        return
    steps = trainer.config.steps
    curves: SummaryWriter | None = SummaryWriter(
        str(folder / "tensorboard"), purge_step=trainer.step + 1
    )
    with tqdm(total=steps, initial=trainer.step, unit="step", disable=None) as bar:
        smooth: float | None = None

        def draw(metrics: dict[str, float]) -> None:
            nonlocal curves
            try:
                for name, value in metrics.items():
                    if curves and name != "step":
                        curves.add_scalar(name, value, int(metrics["step"]))
            except OSError as error:  # a full disk, say: a run is worth more than its curves
                curves = None
                bar.write(f"No curves from here on: {error.strerror or error}", file=sys.stderr)

        def report(metrics: dict[str, float]) -> None:
            nonlocal smooth
            loss = metrics["loss"]
            smooth = loss if smooth is None else smooth + SMOOTHING * (loss - smooth)
            bar.update()
            bar.set_postfix_str(f"loss {smooth:.4f}")
            draw(metrics)

        try:
            yield report
        finally:
            if curves:
                with suppress(OSError):
                    curves.close()
