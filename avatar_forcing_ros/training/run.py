"""A training run from a folder of conversations and a settings file, with progress."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from avatar_forcing_ros.config import PRESETS, TrainingConfig
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.strict import from_mapping, read_yaml
from avatar_forcing_ros.training.dataset import ConversationWindows
from avatar_forcing_ros.training.trainer import Trainer

SMOOTHING = 0.02


def train_flow(data: Path, folder: Path, settings: Path | None, initial: Path | None) -> None:
    """Train the compact generator on the conversations in `data`; results go to `folder`.

    `initial` is a checkpoint to begin from instead of random weights.
    A folder that already holds a run is gone on with. Writes ``generator.safetensors`` (averaged
    weights) and ``training_state.pt`` at every checkpoint, and a line of figures to ``log.csv``.
    """
    values = read_yaml(settings) if settings else {}
    config = from_mapping(TrainingConfig, values, settings.name if settings else "training")
    begin = load_checkpoint(initial) if initial else None
    model = PRESETS["compact"].model
    trainer = Trainer(
        model,
        config,
        ConversationWindows(data, "train", model),
        ConversationWindows(data, "valid", model),
        folder,
        begin,
    )
    if trainer.resume():
        print(f"Going on from step {trainer.step} of {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tqdm(total=config.steps, initial=trainer.step, unit="step", disable=None) as bar,
        (folder / "log.csv").open("a", encoding="utf-8", buffering=1) as log,
    ):
        if log.tell() == 0:
            log.write("step,loss,valid_loss,step_s\n")
        smooth: float | None = None

        def report(figures: dict[str, float]) -> None:
            nonlocal smooth
            loss = figures["loss"]
            smooth = loss if smooth is None else smooth + SMOOTHING * (loss - smooth)
            bar.update()
            bar.set_postfix_str(f"loss {smooth:.4f}")
            valid = f"{figures['valid_loss']:.5f}" if "valid_loss" in figures else ""
            log.write(f"{figures['step']:.0f},{loss:.5f},{valid},{figures['step_s']:.3f}\n")

        trainer.run(report)
    print(f"Wrote {folder / 'generator.safetensors'}")
