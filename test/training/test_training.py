"""Runs of the trainer: a loss that falls, resuming where one stopped, and several processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from full_disk import full_disk
from lightning_fabric import Fabric
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import TINY_CAUSAL, TINY_LATENT, tiny_autoencoder, tiny_generator

from avatar_forcing_ros import config as presets
from avatar_forcing_ros.config import PRESETS, Preset
from avatar_forcing_ros.errors import CheckpointError, ConfigError, OutputError
from avatar_forcing_ros.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.training.dataset import (
    ConversationWindows,
    StoredConversation,
    save_conversation,
)
from avatar_forcing_ros.training.losses import FlowMatching
from avatar_forcing_ros.training.run import Run, train_flow
from avatar_forcing_ros.training.settings import TrainingConfig
from avatar_forcing_ros.training.trainer import Trainer, learning_rate

BASE = TrainingConfig(steps=4, batch_windows=4, warm_up_steps=5, precision="float32")


def trainer(data: Path, folder: Path, config: TrainingConfig = BASE) -> Trainer:
    folder.mkdir(exist_ok=True)
    fabric = Fabric(accelerator="cpu", devices=1)
    train, valid = (ConversationWindows(data, s, TINY_CAUSAL) for s in ("train", "valid"))
    torch.manual_seed(config.seed)
    model = MotionGenerator(TINY_CAUSAL)
    initial = Checkpoint(model, None, {})
    objective = FlowMatching(model, config)
    return Trainer(fabric, objective, train, valid, config, folder, initial)


def weights(run: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def silent(metrics: dict[str, float]) -> None:
    pass


def test_the_loss_falls(data: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    run = trainer(data, tmp_path / "run", replace(BASE, steps=80, learning_rate=3e-3))
    before = run.validate()["loss"]
    run.run(lambda metrics: losses.append(metrics["loss"]))
    assert np.mean(losses[-10:]) < 0.92 * np.mean(losses[:5])
    assert run.validate()["loss"] < before  # the averaged weights are what is judged
    generator, _, origin = load_checkpoint(tmp_path / "run" / "generator.safetensors")
    assert origin["steps"] == 80
    for name, tensor in generator.state_dict().items():
        torch.testing.assert_close(tensor, run.average.state_dict()[name], rtol=2e-3, atol=1e-4)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(data: Path, tmp_path: Path) -> None:
    config = replace(BASE, steps=8)
    whole = trainer(data, tmp_path / "whole", config)
    whole.run(silent)
    first = trainer(data, tmp_path / "parts", config)
    for _ in range(4):
        first.train_step()
    first.save()
    second = trainer(data, tmp_path / "parts", config)
    assert second.resume()
    second.run(silent)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name
        average = whole.average.state_dict()[name]
        assert torch.equal(average, second.average.state_dict()[name]), name


def test_resuming_with_other_settings_is_refused(data: Path, tmp_path: Path) -> None:
    trainer(data, tmp_path / "run").save()
    with pytest.raises(CheckpointError, match="configuration"):
        trainer(data, tmp_path / "run", replace(BASE, learning_rate=1e-4)).resume()
    assert not trainer(data, tmp_path / "empty").resume()


def test_a_damaged_state_is_reported(data: Path, tmp_path: Path) -> None:
    run = trainer(data, tmp_path / "run")
    run.save()
    whole = run.state_path.read_bytes()
    run.state_path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        run.resume()


def test_a_full_disk_ends_a_run_in_a_sentence_and_keeps_the_last_state(
    data: Path, tmp_path: Path
) -> None:
    run = trainer(data, tmp_path / "run")
    run.save()
    run.train_step()
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    with full_disk(100_000), pytest.raises(OutputError, match=r"training_state\.pt: .* room"):
        run.save()
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before
    again = trainer(data, tmp_path / "run")
    assert again.resume()
    assert again.step == 0


def test_accumulating_is_a_larger_batch(data: Path, tmp_path: Path) -> None:
    """Two halves of a batch give the gradient of the whole: the same windows, the same noise."""
    run = trainer(data, tmp_path / "run", replace(BASE, accumulate_batches=2, gradient_clip=1e9))
    metrics = run.train_step()
    other = trainer(data, tmp_path / "other")
    rngs = [np.random.default_rng([BASE.seed, 0, part]) for part in range(2)]
    losses = [other.objective(*other.draw(other.train, rng))["loss"] for rng in rngs]
    mean = torch.stack(losses).mean()
    mean.backward()
    norm = torch.stack([p.grad.norm() for p in other.model.parameters()]).norm()
    assert metrics["loss"] == pytest.approx(mean.item(), rel=1e-5)
    assert metrics["gradient_norm"] == pytest.approx(norm.item(), rel=1e-4)


@pytest.fixture
def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both presets with networks small enough for a test."""
    for name, model in (("compact", TINY_CAUSAL), ("paper", TINY_LATENT)):
        monkeypatch.setitem(presets.PRESETS, name, Preset(model, PRESETS[name].sampling))


def settings(folder: Path, text: str = "") -> Path:
    path = folder / "settings.yaml"
    path.write_text(f"steps: 4\nbatch_windows: 4\nprecision: float32\n{text}")
    return path


@pytest.mark.usefixtures("small_presets")
def test_a_run_writes_weights_and_curves_and_can_begin_from_others(
    data: Path, tmp_path: Path
) -> None:
    run = Run(data, tmp_path / "first", settings=settings(tmp_path), accelerator="cpu")
    train_flow(run)
    curves = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert [event.step for event in curves.Scalars("loss")] == [1, 2, 3, 4]
    assert {"gradient_norm", "learning_rate", "windows_per_s"} <= set(curves.Tags()["scalars"])
    begun = run.folder / "generator.safetensors"
    second = replace(run, folder=tmp_path / "second", initial=begun)
    train_flow(second)
    origin = load_checkpoint(second.folder / "generator.safetensors").origin
    assert origin["begun_from"]["steps"] == 4
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, tiny_generator(replace(TINY_CAUSAL, blocks=1)), {})
    with pytest.raises(CheckpointError, match="initial weights"):
        train_flow(replace(run, initial=other))
    with pytest.raises(ConfigError, match="accelerator"):
        train_flow(replace(run, accelerator="cuda"))
    with pytest.raises(ConfigError, match="learning_rate"):
        train_flow(replace(run, settings=settings(tmp_path, "learning_rat: 1")))


@pytest.mark.usefixtures("small_presets")
def test_a_run_goes_on_where_its_curves_find_no_room(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", fail)
    run = Run(data, tmp_path / "run", settings=settings(tmp_path), accelerator="cpu")
    train_flow(run)
    assert load_checkpoint(run.folder / "generator.safetensors").origin["steps"] == 4
    assert capsys.readouterr().err.count("No curves from here on: No space left on device") == 1


@pytest.mark.usefixtures("small_presets")
def test_the_paper_preset_trains_on_latents_and_keeps_what_it_was_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        wave = rng.standard_normal((2, 60 * 640)).astype(np.float16)
        motion = rng.standard_normal((2, 60, 16)).astype(np.float32)
        conversation = StoredConversation("wave", *wave, *motion, np.zeros(16, np.float32))
        save_conversation(tmp_path / f"{split}-x.npz", conversation)
    run = Run(tmp_path, tmp_path / "run", "paper", settings(tmp_path), accelerator="cpu")
    with pytest.raises(ConfigError, match="speech encoder"):
        train_flow(run)
    begun = tiny_generator(TINY_LATENT)
    initial = tmp_path / "initial.safetensors"
    save_checkpoint(initial, begun, {"licence": "none"}, torch.float32, tiny_autoencoder())
    train_flow(replace(run, initial=initial))
    trained = load_checkpoint(run.folder / "generator.safetensors")
    assert trained.motion_autoencoder is not None
    before = load_checkpoint(initial).generator.state_dict()
    for name, tensor in trained.generator.state_dict().items():
        same = torch.allclose(tensor, before[name], rtol=2e-3, atol=1e-4)
        if "wav2vec2" in name:
            assert same, name
        if name.startswith("flow_transformer.blocks.0.attn"):
            assert not torch.equal(tensor, before[name].half().float()), name


def command(data: Path, folder: Path, config: Path, *more: str) -> list[str]:
    program = (
        "import sys; sys.path[:0] = [%r]\n"
        "from tiny import TINY_CAUSAL\n"
        "from avatar_forcing_ros import config\n"
        "compact = config.PRESETS['compact']\n"
        "config.PRESETS['compact'] = config.Preset(TINY_CAUSAL, compact.sampling)\n"
        "from avatar_forcing_ros.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    script = folder.parent / "program.py"
    script.write_text(program % str(Path(__file__).parent.parent))
    arguments = ["train", "flow", data, "-o", folder, "--config", config, "--accelerator", "cpu"]
    return [sys.executable, str(script), *map(str, arguments), *more]


def test_two_processes_learn_what_one_learns_from_both_their_batches(
    data: Path, tmp_path: Path
) -> None:
    config = settings(tmp_path)
    subprocess.run(command(data, tmp_path / "two", config, "--devices", "2"), check=True)
    halves = tmp_path / "halves.yaml"
    halves.write_text(config.read_text() + "accumulate_batches: 2\n")
    subprocess.run(command(data, tmp_path / "one", halves), check=True)
    two, one = (
        torch.load(tmp_path / name / "training_state.pt", weights_only=True)
        for name in ("two", "one")
    )
    assert two["step"] == one["step"] == 4
    for name, tensor in one["model"].items():
        torch.testing.assert_close(two["model"][name], tensor, rtol=1e-4, atol=1e-5)


def test_a_killed_run_loses_at_most_one_interval(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "long.yaml"
    config.write_text("steps: 100000\nbatch_windows: 2\ncheckpoint_every_steps: 3\n")
    folder = tmp_path / "run"
    state = folder / "training_state.pt"
    last_written = folder / "generator.safetensors"
    process = subprocess.Popen(command(data, folder, config), stderr=subprocess.DEVNULL)
    try:
        while not last_written.exists() and process.poll() is None:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    stored = torch.load(state, weights_only=True)
    assert stored["step"] >= 3
    assert stored["step"] % 3 == 0
    load_checkpoint(last_written)
    left = [name for name in os.listdir(folder) if ".part." in name]
    assert len(left) <= 1  # what was being written when it died


def test_learning_rate_warms_up_and_decays() -> None:
    config = TrainingConfig(steps=1000, warm_up_steps=100, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)
