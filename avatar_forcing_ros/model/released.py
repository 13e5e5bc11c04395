"""The released model's files, as their authors give them out, to ready networks.

A folder holds ``motion_autoencoder.pth`` and ``flow_transformer.pth``; the speech encoder lies in
the second or, in the Hugging Face layout, in the folder ``wav2vec2-base-960h``. The folder above
theirs, ``pretrained_dir``, does as well. Only numbers are taken from them: nothing that a file
says is ever run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
from avatar_forcing_ros.model.weight_files import DOWNLOAD_AGAIN, require_content
from avatar_forcing_ros.model.weight_names import flattened, under_known_names
from avatar_forcing_ros.model.weight_report import FileReport, Findings, WeightReport, compare, few
from avatar_forcing_ros.weight_sources import RELEASE_FOLDER

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

SPEECH_PREFIX = "audio_encoder.wav2vec2."
ROOTS = {
    "autoencoder": (AUTOENCODER_PREFIX,),
    "speech": ("audio_encoder.", SPEECH_PREFIX),
    "transformer": ("flow_transformer.",),
}
"""How names begin, which a file of that part alone may leave out."""
NORMALISATION = ("motion_mean", "motion_std")
"""Ours, not the release's: its latents are used as they are."""
UNUSED = ".masked_spec_embed"
"""Training alone reads it, and not every file has it."""
RECOMPUTED = (".alignment_mask", ".block_bidir_causal_lookahead_mask", ".kernel")
TEXT_HEAD = "lm_head."
"""The speech encoder's way from audio to characters."""
ZIP = b"PK\x03\x04"

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
    another shape, and for layers that the model does not have. Other tensors are left out.
    """
    folder = release_folder(folder)
    networks, parts = _examine(folder, config, progress)
    wrong = [sentence for part in parts for sentence in part.report.sentences()]
    if wrong:
        raise CheckpointError(
            f"released weights {folder}",
            expected="the files and tensors of the released model",
            got=few(wrong),
            remedy=f"see the whole list: avatar-forcing weights check {folder} --json report.json",
        )
    for part in parts:
        for remark in part.report.remarks():
            progress(f"{part.report.name}: {remark}")
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
    folder = release_folder(folder)
    _, parts = _examine(folder, config, progress)
    files = tuple(part.report for part in parts)
    licence = _licence_text(folder) or LICENCE_NOTE
    return WeightReport(str(folder), files, licence, config.motion_space)


def release_folder(place: Path) -> Path:
    """The folder of the files: `place`, or the authors' folder in it where that has them."""
    inner = place / RELEASE_FOLDER
    names = (AUTOENCODER_FILE, TRANSFORMER_FILE)
    if inner.is_dir() and not any((place / name).is_file() for name in names):
        return inner
    return place


def lacks_speech(folder: Path) -> bool:
    """Whether the transformer's file can be read and comes without the speech encoder."""
    try:
        return not _has_speech(_read(release_folder(folder) / TRANSFORMER_FILE))
    except CheckpointError:
        return False


def _has_speech(names: Iterable[str]) -> bool:
    return any(SPEECH_PREFIX in name for name in names)


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
    first = _examine_file(folder, AUTOENCODER_FILE, "autoencoder", wanted, progress)
    second = _examine_file(folder, TRANSFORMER_FILE, "transformer", wanted, progress)
    if _has_speech(second.tensors):
        return networks, [first, second]
    paths = [f"{SPEECH_FOLDER}/{name}" for name in SPEECH_FILES]
    there = next((path for path in paths if (folder / path).is_file()), None)
    third = _examine_file(folder, there or paths[0], "speech", wanted, progress)
    if not there:
        note = f"nor are its tensors in {TRANSFORMER_FILE}"
        third = third._replace(report=replace(third.report, note=note))
    return networks, [first, second, third]


def _examine_file(
    folder: Path,
    name: str,
    part: str,
    parts: Mapping[str, Mapping[str, Tensor]],
    progress: Progress,
) -> _Part:
    """The file `name` beside the tensors of its part; of the speech encoder it has all or none."""
    path, wanted = folder / name, parts[part]
    nothing = Findings(len(wanted), missing=tuple(wanted))
    if not path.is_file():
        return _Part(FileReport(name, None, nothing), {})
    size_bytes = path.stat().st_size
    progress(f"reading {name} ({size_bytes / 1e6:.0f} MB)")
    try:
        flat = _read(path)
    except CheckpointError as error:
        return _Part(FileReport(name, size_bytes, nothing, error.got, remedy=error.remedy), {})
    if part == "transformer" and _has_speech(flat):
        wanted = {**wanted, **parts["speech"]}
    given, unused, prefix = under_known_names(flat, wanted, ROOTS[part])
    needed = {n: t for n, t in wanted.items() if n in given or not n.endswith(UNUSED)}
    report = FileReport(
        name,
        size_bytes,
        compare(needed, given),
        prefix=prefix,
        unused=tuple(n for n in unused if not n.endswith(RECOMPUTED) and TEXT_HEAD not in n),
    )
    return _Part(report, given)


def _read(path: Path) -> dict[str, object]:
    """What `path` holds, by the dotted names of the file. Raises CheckpointError."""
    if path.suffix == ".safetensors":
        return dict(read_safetensors(path)[0])
    return flattened(_read_pickle(path))


def _read_pickle(path: Path) -> Mapping[Any, object]:
    """The table in a file of torch's; nothing but tables, numbers, words and tensors is built."""

    def refusal(got: str, remedy: str) -> CheckpointError:
        expected = "tensors, as torch.save stores them since version 1.6"
        return CheckpointError(f"weights {path}", expected=expected, got=got, remedy=remedy)

    if not require_content(path).startswith(ZIP):
        # torch's older formats can be made to run code even so (CVE-2025-32434)
        got = "a file that is damaged or holds something else (no zip archive, as torch's are)"
        raise refusal(got, f"{DOWNLOAD_AGAIN}, from a place you trust")
    try:
        content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle can raise anything
        got = f"a file that is damaged or holds something else ({_first_line(error)})"
        raise refusal(got, f"{DOWNLOAD_AGAIN}, from a place you trust") from error
    if not isinstance(content, Mapping):
        got = f"a {type(content).__name__} instead of a table of names and tensors"
        raise refusal(got, "take the file that the authors give out under this name")
    return content


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines() or [type(error).__name__]
    return text[0][:160].rstrip()


def _licence_text(folder: Path) -> str:
    for name in LICENCE_FILES:
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8", errors="replace").strip()
    return ""
