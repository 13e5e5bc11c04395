"""Weights in one safetensors file that carries its own configuration, normalisation and origin.

Loading is strict: a missing, extra or differently shaped tensor is an error that names it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig, from_mapping
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.files import whole_file
from avatar_forcing_ros.model.generator import MotionGenerator

FORMAT = "avatar_forcing_ros motion generator 1"
SHOWN_NAMES = 4


def save_checkpoint(
    path: Path,
    generator: MotionGenerator,
    origin: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write `generator` to `path`, whole or not at all; `origin` says how it came to be.

    Half precision halves the file and moves no weight by more than a two-thousandth of itself.
    Raises OutputError where the folder cannot be written.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in generator.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "config": json.dumps(dataclasses.asdict(generator.config)),
        "origin": json.dumps(dict(origin)),
    }
    with whole_file(path) as part:
        part.write_bytes(save(tensors, metadata))


def load_checkpoint(path: Path) -> tuple[MotionGenerator, dict[str, Any]]:
    """The generator stored in `path`, in float32 and evaluation mode, and its origin.

    Raises CheckpointError for a file that is missing, is no such checkpoint, or does not fit the
    network that its own configuration describes.
    """
    tensors, metadata = _read(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"weights {path}",
            expected=f"format '{FORMAT}'",
            got=repr(metadata.get("format", "no format entry")),
            remedy="give a file written by 'avatar-forcing train'",
        )
    config, origin = (_table(path, metadata, name) for name in ("config", "origin"))
    generator = MotionGenerator(from_mapping(ModelConfig, config, f"{path.name} config"))
    _fill(generator, tensors, path)
    return generator.eval().requires_grad_(False), origin


def _table(path: Path, metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(metadata[name]))
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"weights {path}",
            expected=f"a table '{name}' in its metadata",
            got=f"none that can be read ({type(error).__name__})",
            remedy="train or download it again",
        ) from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise CheckpointError(
            "weights",
            expected="a safetensors file",
            got=f"no file at {path}",
            remedy="check the path, or leave it out to use the weights that ship",
        )
    try:
        with safe_open(path, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}, (  # noqa: SIM118
                stored.metadata() or {}
            )
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"weights {path}",
            expected="a safetensors file",
            got=f"unreadable content ({error})",
            remedy="download or train it again",
        ) from error


def _fill(generator: MotionGenerator, tensors: Mapping[str, Tensor], path: Path) -> None:
    wanted = generator.state_dict()
    wrong = [f"{name} is missing" for name in wanted if name not in tensors]
    wrong += [f"{name} is not part of the network" for name in tensors if name not in wanted]
    wrong += [
        f"{name} has shape {list(tensors[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    wrong += [
        f"{name} holds values that are no numbers"
        for name, tensor in tensors.items()
        if not bool(torch.isfinite(tensor).all())
    ]
    if wrong:
        more = f" and {len(wrong) - SHOWN_NAMES} more" if len(wrong) > SHOWN_NAMES else ""
        raise CheckpointError(
            f"weights {path}",
            expected=f"exactly the {len(wanted)} tensors of its configuration",
            got="; ".join(wrong[:SHOWN_NAMES]) + more,
            remedy="give weights that were saved with this configuration",
        )
    generator.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
