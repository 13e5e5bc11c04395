"""Checkpoints carry everything, load strictly, and are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from released import SMALL_PAPER
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import TINY, roll, talk, tiny_generator

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.errors import CheckpointError, OutputError
from avatar_forcing_ros.model.checkpoint import (
    FORMAT,
    inspect_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder
from avatar_forcing_ros.streaming.engine import MotionEngine


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, tiny_generator(), {"steps": 3}, torch.float32)
    return path


def rewrite(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
    save_file(tensors, path, metadata)


def test_what_was_saved_comes_back(saved: Path) -> None:
    generator, autoencoder, origin = load_checkpoint(saved)
    assert autoencoder is None
    assert origin == {"steps": 3}
    assert generator.config == TINY
    audio = talk(15)
    ours = MotionEngine(generator, SamplingConfig())
    theirs = MotionEngine(tiny_generator(), SamplingConfig())
    assert np.array_equal(roll(ours, audio, 3), roll(theirs, audio, 3))
    assert not any(p.requires_grad for p in generator.parameters())


def test_missing_and_extra_names_are_reported(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["flow_transformer.t_embedder.mlp.3.bias"] = tensors.pop(
        "flow_transformer.t_embedder.mlp.2.bias"
    )
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(saved)
    assert "mlp.2.bias is missing" in caught.value.got
    assert "mlp.3.bias is not part of the network" in caught.value.got


def test_another_shape_is_reported(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["motion_mean"] = torch.zeros(7)
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError, match=r"motion_mean has shape \[7\] instead of \[23\]"):
        load_checkpoint(saved)


def test_broken_values_are_reported(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["motion_std"][3] = float("nan")
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError, match="motion_std holds values that are no numbers"):
        load_checkpoint(saved)


def test_broken_metadata_is_reported(saved: Path) -> None:
    tensors = load_file(saved)
    form = {"format": FORMAT, "config": "{", "origin": "{}"}
    save_file(tensors, saved, form)
    with pytest.raises(CheckpointError, match="table 'config'"):
        load_checkpoint(saved)
    save_file(tensors, saved, {"format": FORMAT, "origin": "{}"})
    with pytest.raises(CheckpointError, match="table 'config'"):
        load_checkpoint(saved)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no file at"):
        load_checkpoint(tmp_path / "none.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("not weights")
    with pytest.raises(CheckpointError, match="unreadable content"):
        load_checkpoint(text)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(CheckpointError, match="no format entry"):
        load_checkpoint(other)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can be written"):
        save_checkpoint(tmp_path / "file" / "w.safetensors", tiny_generator(), {})


def test_half_precision_is_stored_and_read_as_single(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, tiny_generator(), {})
    generator = load_checkpoint(path).generator
    full = tiny_generator().state_dict()
    for name, tensor in generator.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, full[name], atol=1e-3, rtol=1e-3)


AUTOENCODER_BIAS = "motion_autoencoder.dec.conv1.activate.bias"


def small_autoencoder(width: int = SMALL_PAPER.motion_dim) -> MotionAutoencoder:
    torch.manual_seed(1)
    return MotionAutoencoder(SMALL_PAPER.autoencoder, width).eval()


@pytest.fixture
def latent(tmp_path: Path) -> Path:
    path = tmp_path / "latent.safetensors"
    generator = tiny_generator(SMALL_PAPER)
    save_checkpoint(path, generator, {}, torch.float32, small_autoencoder())
    return path


def test_the_autoencoder_comes_back_with_its_directions(latent: Path) -> None:
    loaded = load_checkpoint(latent).motion_autoencoder
    assert loaded is not None
    ours = small_autoencoder()
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    assert torch.equal(ours.dec.direction.basis, loaded.dec.direction.basis)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_latent_generator_may_come_alone(tmp_path: Path) -> None:
    path = tmp_path / "alone.safetensors"
    save_checkpoint(path, tiny_generator(SMALL_PAPER), {})
    assert load_checkpoint(path).motion_autoencoder is None
    (file,) = inspect_checkpoint(path).files
    assert file.usable
    assert "no images" in file.note


def test_half_an_autoencoder_is_reported(latent: Path) -> None:
    tensors = load_file(latent)
    del tensors[AUTOENCODER_BIAS]
    rewrite(latent, tensors)
    with pytest.raises(CheckpointError, match=f"{AUTOENCODER_BIAS} is missing"):
        load_checkpoint(latent)


def test_the_rigs_space_has_no_autoencoder(saved: Path) -> None:
    tensors = load_file(saved)
    tensors[AUTOENCODER_BIAS] = torch.zeros(1, 8, 1, 1)
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError, match=f"{AUTOENCODER_BIAS} is not part of the network"):
        load_checkpoint(saved)


def test_strangers_are_not_stored_together(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for generator, autoencoder in (
        (tiny_generator(), small_autoencoder()),
        (tiny_generator(SMALL_PAPER), small_autoencoder(24)),
    ):
        with pytest.raises(CheckpointError, match="store networks that belong together"):
            save_checkpoint(path, generator, {}, torch.float32, autoencoder)
    assert not path.exists()


def test_values_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    generator = tiny_generator()
    generator.motion_std[2] = 1e6
    path = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match="float16 can hold, got others in motion_std"):
        save_checkpoint(path, generator, {}, torch.float16)
    assert not path.exists()
    save_checkpoint(path, generator, {}, torch.bfloat16)
    assert load_checkpoint(path).generator.motion_std[2] == pytest.approx(1e6, rel=1e-2)


def test_an_inspection_tells_what_loading_would_refuse(saved: Path, latent: Path) -> None:
    assert inspect_checkpoint(latent).usable
    (file,) = inspect_checkpoint(latent).files
    assert file.note == "with its motion autoencoder"
    tensors = load_file(saved)
    tensors["motion_mean"] = torch.zeros(7)
    rewrite(saved, tensors)
    assert inspect_checkpoint(saved).sentences() == [
        "weights.safetensors: motion_mean has shape [7] instead of [23]"
    ]
    saved.write_text("not weights")
    (sentence,) = inspect_checkpoint(saved).sentences()
    assert "unreadable content" in sentence
    saved.unlink()
    assert inspect_checkpoint(saved).sentences() == ["weights.safetensors is missing"]
