"""The released model's files, as their authors give them out, to ready networks.

A folder holds ``motion_autoencoder.pth`` and ``flow_transformer.pth``; the speech encoder lies in
the second or, in the Hugging Face layout, in the folder ``wav2vec2-base-960h``. Only numbers are
taken from them: nothing that a file says is ever run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from avatar_forcing_ros.config import PAPER_MODEL, ModelConfig
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.model.checkpoint import (
    AUTOENCODER_PREFIX,
    Checkpoint,
    Networks,
    empty_networks,
    read_safetensors,
)
from avatar_forcing_ros.model.weight_report import FileReport, Findings, WeightReport, compare, few

AUTOENCODER_FILE = "motion_autoencoder.pth"
TRANSFORMER_FILE = "flow_transformer.pth"
SPEECH_FOLDER = "wav2vec2-base-960h"
SPEECH_FILES = ("model.safetensors", "pytorch_model.bin")
LICENCE_FILES = ("LICENSE", "LICENCE", "LICENSE.txt", "LICENCE.txt", "LICENSE.md", "LICENCE.md")
LICENCE = "CC-BY-NC-4.0"
LICENCE_NOTE = (
    "no licence file here; the authors gave their weights out under CC BY-NC 4.0: name the "
    "authors, no commercial use"
)
ENTRY_KEYS = ("state_dict", "model")

SPEECH_PREFIX = "audio_encoder.wav2vec2."
NORMALISATION = ("motion_mean", "motion_std")
"""Ours, not the release's: its latents are used as they are."""
UNUSED = ".masked_spec_embed"
"""Training alone reads it, and not every file has it."""
RECOMPUTED = (
    "flow_transformer.alignment_mask",
    "flow_transformer.block_bidir_causal_lookahead_mask",
)
SPELLINGS = (
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)
"""A normalised weight's two parts before and after torch 2.1."""

Progress = Callable[[str], None]


def no_progress(stage: str) -> None:
    """Reports no progress."""


class _Part(NamedTuple):
    """One file of the release: its report, and its tensors by full name."""

    report: FileReport
    tensors: dict[str, object]


def load_released(
    folder: Path, config: ModelConfig = PAPER_MODEL, progress: Progress = no_progress
) -> Checkpoint:
    """The networks of `config` with the weights in `folder`, in float32 and evaluation mode.

    Raises CheckpointError, naming them, for files or tensors that are missing, damaged or of
    another shape, and for tensors that do not belong to the model.
    """
    networks, parts = _examine(folder, config, progress)
    wrong = [sentence for part in parts for sentence in part.report.sentences()]
    if wrong:
        raise CheckpointError(
            f"released weights {folder}",
            expected="exactly the files and tensors of the released model",
            got=few(wrong),
            remedy=f"see the whole list: avatar-forcing weights check {folder} --json report.json",
        )
    progress("filling the networks")
    wanted = networks.tensors()
    tensors = {n: torch.zeros(t.shape) for n, t in wanted.items() if n.endswith(UNUSED)}
    for part in parts:
        tensors |= {n: t for n, t in part.tensors.items() if isinstance(t, Tensor)}
    tensors["motion_mean"] = torch.zeros(config.motion_dim)
    tensors["motion_std"] = torch.ones(config.motion_dim)
    origin = {
        "method": "converted from the weights that the paper's authors released",
        "attribution": "Avatar Forcing, arXiv 2601.00664",
        "licence": LICENCE,
        "sources": {part.report.name: {"bytes": part.report.size_bytes} for part in parts},
    }
    return Checkpoint(*networks.fill(tensors), origin)


def inspect_released(
    folder: Path, config: ModelConfig = PAPER_MODEL, progress: Progress = no_progress
) -> WeightReport:
    """What `load_released` would make of `folder`; bad content is reported, not raised."""
    _, parts = _examine(folder, config, progress)
    files = tuple(part.report for part in parts)
    licence = _licence_text(folder) or LICENCE_NOTE
    return WeightReport(str(folder), files, licence, config.motion_space)


def lacks_speech(folder: Path) -> bool:
    """Whether the transformer's file can be read and comes without the speech encoder."""
    try:
        names = _read(folder / TRANSFORMER_FILE)
    except CheckpointError:
        return False
    return not any(name.startswith(SPEECH_PREFIX) for name in names)


def _examine(
    folder: Path, config: ModelConfig, progress: Progress
) -> tuple[Networks, list[_Part]]:
    networks = empty_networks(config, autoencoder=True)
    wanted: dict[str, dict[str, Tensor]] = {"autoencoder": {}, "speech": {}, "transformer": {}}
    for name, tensor in networks.tensors().items():
        if name in NORMALISATION:
            continue
        autoencoder = name.startswith(AUTOENCODER_PREFIX)
        speech = name.startswith(SPEECH_PREFIX)
        part = "autoencoder" if autoencoder else "speech" if speech else "transformer"
        wanted[part][name] = tensor
    first = _examine_file(folder, AUTOENCODER_FILE, wanted["autoencoder"], progress)
    second = _examine_file(
        folder, TRANSFORMER_FILE, wanted["transformer"], progress, wanted["speech"]
    )
    if any(name.startswith(SPEECH_PREFIX) for name in second.tensors):
        return networks, [first, second]
    paths = [f"{SPEECH_FOLDER}/{name}" for name in SPEECH_FILES]
    there = next((path for path in paths if (folder / path).is_file()), None)
    third = _examine_file(folder, there or paths[0], wanted["speech"], progress)
    if not there:
        note = f"nor are its tensors in {TRANSFORMER_FILE}"
        third = third._replace(report=replace(third.report, note=note))
    return networks, [first, second, third]


def _examine_file(
    folder: Path,
    name: str,
    wanted: Mapping[str, Tensor],
    progress: Progress,
    optional: Mapping[str, Tensor] | None = None,
) -> _Part:
    """The file `name` beside `wanted`; of `optional`, it holds all or nothing."""
    path = folder / name
    nothing = Findings(len(wanted), missing=tuple(wanted))
    if not path.is_file():
        return _Part(FileReport(name, None, nothing), {})
    size_bytes = path.stat().st_size
    progress(f"reading {name} ({size_bytes / 1e6:.0f} MB)")
    try:
        given = _read(path)
    except CheckpointError as error:
        return _Part(FileReport(name, size_bytes, nothing, error.got), {})
    if optional and any(n in optional or n.startswith(SPEECH_PREFIX) for n in given):
        wanted = {**wanted, **optional}
    given = _spelled_as(wanted, given)
    needed = {n: t for n, t in wanted.items() if n in given or not n.endswith(UNUSED)}
    return _Part(FileReport(name, size_bytes, compare(needed, given)), given)


def _read(path: Path) -> dict[str, object]:
    """What `path` names, under full names, without what is recomputed or another task's.

    Raises CheckpointError.
    """
    if path.suffix == ".safetensors":
        content: Mapping[Any, object] = read_safetensors(path)[0]
    else:
        content = _read_pickle(path)
    speech = path.name in SPEECH_FILES
    out: dict[str, object] = {}
    for key, value in content.items():
        name = str(key)
        if speech:
            if name.startswith("lm_head."):  # from audio to characters
                continue
            name = "audio_encoder." + name
        elif name in RECOMPUTED or name.endswith(".kernel"):
            continue
        out[name] = value
    return out


def _read_pickle(path: Path) -> Mapping[Any, object]:
    try:
        # weights_only builds tensors and nothing else; mmap refuses all but the zip format, as
        # older torch could be made to run code by the others (CVE-2025-32434)
        content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(
            f"weights {path}",
            expected="tensors, as torch.save stores them since version 1.6",
            got=f"a file that is damaged or holds something else ({_first_line(error)})",
            remedy="download it again, from a place you trust",
        ) from error
    for key in ENTRY_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"weights {path}",
            expected="a table of names and tensors",
            got=f"a {type(content).__name__}",
            remedy="download it again",
        )
    return content


def _spelled_as(wanted: Mapping[str, Tensor], given: Mapping[str, object]) -> dict[str, object]:
    """`given` with normalised weights under the names that `wanted` has for them."""
    out: dict[str, object] = {}
    for name, value in given.items():
        others = [name.replace(a, b) for pair in SPELLINGS for a, b in (pair, pair[::-1])]
        better = next((o for o in others if name not in wanted and o in wanted), name)
        out[name if better in given else better] = value
    return out


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines() or [type(error).__name__]
    return text[0][:160].rstrip()


def _licence_text(folder: Path) -> str:
    for name in LICENCE_FILES:
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8", errors="replace").strip()
    return ""
