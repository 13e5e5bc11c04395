"""Weights in one safetensors file that carries its own configuration, normalisation and origin.

Loading is strict: a missing, extra or differently shaped tensor is an error that names it.
Networks are made of shapes alone and filled with a file's values: drawing 293 million random
numbers only to overwrite them costs three seconds and 1.2 GB.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from avatar_forcing_ros.atomic_write import atomic_write, no_room
from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import CheckpointError, ConfigError
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder
from avatar_forcing_ros.model.weight_files import DOWNLOAD_AGAIN, require_content
from avatar_forcing_ros.model.weight_report import FileReport, Findings, WeightReport, compare, few
from avatar_forcing_ros.strict import from_mapping

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
        a view of a file, which may be truncated while the avatar runs.
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


def empty_networks(config: ModelConfig, *, autoencoder: bool) -> Networks:
    """The networks of `config`, whose parameters have shapes and no values yet.

    Raises MissingDependencyError where its speech encoder needs a package that is not there.
    """
    with torch.device("meta"):
        return Networks(
            MotionGenerator(config),
            MotionAutoencoder(config.autoencoder, config.motion_dim) if autoencoder else None,
        )


FORMAT = "avatar_forcing_ros motion generator 1"


class Checkpoint(NamedTuple):
    """What a file of weights holds, in float32 and evaluation mode."""

    generator: MotionGenerator
    motion_autoencoder: MotionAutoencoder | None
    """Only in the latent motion space, and there only if the file has it."""
    origin: dict[str, Any]


class _Stored(NamedTuple):
    """A file that can be read, before its tensors are believed."""

    networks: Networks
    tensors: dict[str, Tensor]
    origin: dict[str, Any]


def save_checkpoint(
    path: Path,
    generator: MotionGenerator,
    origin: Mapping[str, Any],
    dtype: torch.dtype = torch.float16,
    motion_autoencoder: MotionAutoencoder | None = None,
) -> None:
    """Write the networks to `path`, whole or not at all; `origin` says how they came to be.

    Half precision halves the file and moves no weight by more than a two-thousandth of itself.
    Raises OutputError where the file cannot be written, CheckpointError where it could not be
    loaded again: weights beyond the range of `dtype`, or an autoencoder of another network.
    """
    config = generator.config
    if motion_autoencoder is not None:
        _require_partner(path, config, motion_autoencoder)
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in Networks(generator, motion_autoencoder).tensors().items()
    }
    beyond = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if beyond:
        raise CheckpointError(
            f"weights {path}",
            expected=f"values that {str(dtype).removeprefix('torch.')} can hold",
            got=f"others in {few(beyond)}",
            remedy="store them as float32",
        )
    metadata = {
        "format": FORMAT,
        "config": json.dumps(dataclasses.asdict(config)),
        "origin": json.dumps(dict(origin)),
    }
    with atomic_write(path) as part:
        try:
            save_file(tensors, part, metadata)
        except SafetensorError as error:
            raise no_room(path, str(error)) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """The networks stored in `path` and their origin.

    Raises CheckpointError for a file that is missing, is no such checkpoint, or does not fit the
    networks that its own configuration describes.
    """
    stored = _read(path)
    findings = compare(stored.networks.tensors(), stored.tensors)
    if not findings.good:
        raise CheckpointError(
            f"weights {path}",
            expected=f"exactly the {findings.wanted} tensors of its configuration",
            got=few(findings.sentences()),
            remedy="give weights that were saved with this configuration",
        )
    return Checkpoint(*stored.networks.fill(stored.tensors), stored.origin)


def inspect_checkpoint(path: Path) -> WeightReport:
    """What `load_checkpoint` would make of `path`; bad content is reported, not raised."""
    size_bytes = path.stat().st_size if path.is_file() else None
    try:
        stored = _read(path)
    except (CheckpointError, ConfigError) as error:
        problem = f"expected {error.expected}, got {error.got}"
        file = FileReport(path.name, size_bytes, Findings(0), problem, remedy=error.remedy)
        return WeightReport(str(path), (file,), "")
    findings = compare(stored.networks.tensors(), stored.tensors)
    space = stored.networks.generator.config.motion_space
    note = "with its motion autoencoder" if stored.networks.motion_autoencoder else ""
    if space == "latent" and not note:
        note = "without a motion autoencoder: motion, but no images"
    file = FileReport(path.name, size_bytes, findings, note=note)
    return WeightReport(str(path), (file,), str(stored.origin.get("licence", "")), space)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, as views of it, and its metadata.

    Raises CheckpointError where it is missing or damaged.
    """
    if not path.is_file():
        raise CheckpointError(
            "weights",
            expected="a safetensors file",
            got=f"no file at {path}",
            remedy="check the path, or leave it out to use the weights that ship",
        )
    require_content(path)
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
            remedy=f"{DOWNLOAD_AGAIN}, convert it again or train it again",
        ) from error


def _read(path: Path) -> _Stored:
    tensors, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"weights {path}",
            expected=f"format '{FORMAT}'",
            got=repr(metadata.get("format", "no format entry")),
            remedy="give a file written by 'avatar-forcing train' or 'avatar-forcing weights'",
        )
    values, origin = (_table(path, metadata, name) for name in ("config", "origin"))
    config = from_mapping(ModelConfig, values, f"{path.name} config")
    # in the rig's space there is nothing to decode: its tensors are reported as extra ones
    latent = config.motion_space == "latent"
    autoencoder = latent and any(name.startswith(AUTOENCODER_PREFIX) for name in tensors)
    try:
        networks = empty_networks(config, autoencoder=autoencoder)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"weights {path}",
            expected="a configuration that networks can be built of",
            got=str(error).splitlines()[0],
            remedy="train or download it again",
        ) from error
    return _Stored(networks, tensors, origin)


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


def _require_partner(path: Path, config: ModelConfig, autoencoder: MotionAutoencoder) -> None:
    code_dim = autoencoder.dec.direction.weight.shape[0]
    if (
        config.motion_space == "latent"
        and autoencoder.config == config.autoencoder
        and code_dim == config.motion_dim
    ):
        return
    raise CheckpointError(
        f"weights {path}",
        expected=f"an autoencoder of {config.autoencoder} beside a generator in its latent space",
        got=f"one of {autoencoder.config}, width {code_dim}, beside motion space "
        f"'{config.motion_space}', width {config.motion_dim}",
        remedy="store networks that belong together",
    )
