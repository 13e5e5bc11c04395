"""Checkpoints carry everything, load strictly, and are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import TINY, roll, talk, tiny_generator

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.errors import CheckpointError, OutputError
from avatar_forcing_ros.model.checkpoint import FORMAT, load_checkpoint, save_checkpoint
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
    generator, origin = load_checkpoint(saved)
    assert origin == {"steps": 3}
    assert generator.config == TINY
    heard = talk(15)
    ours = MotionEngine(generator, SamplingConfig())
    theirs = MotionEngine(tiny_generator(), SamplingConfig())
    assert np.array_equal(roll(ours, heard, 3), roll(theirs, heard, 3))
    assert not any(p.requires_grad for p in generator.parameters())


def test_missing_and_extra_names_are_told(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["flow_transformer.t_embedder.mlp.3.bias"] = tensors.pop(
        "flow_transformer.t_embedder.mlp.2.bias"
    )
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(saved)
    assert "mlp.2.bias is missing" in caught.value.got
    assert "mlp.3.bias is not part of the network" in caught.value.got


def test_another_shape_is_told(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["motion_mean"] = torch.zeros(7)
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError, match=r"motion_mean has shape \[7\] instead of \[23\]"):
        load_checkpoint(saved)


def test_broken_values_are_told(saved: Path) -> None:
    tensors = load_file(saved)
    tensors["motion_std"][3] = float("nan")
    rewrite(saved, tensors)
    with pytest.raises(CheckpointError, match="motion_std holds values that are no numbers"):
        load_checkpoint(saved)


def test_broken_metadata_is_told(saved: Path) -> None:
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


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can be written"):
        save_checkpoint(tmp_path / "file" / "w.safetensors", tiny_generator(), {})


def test_half_precision_is_stored_and_read_as_single(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, tiny_generator(), {})
    generator, _ = load_checkpoint(path)
    full = tiny_generator().state_dict()
    for name, tensor in generator.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, full[name], atol=1e-3, rtol=1e-3)
