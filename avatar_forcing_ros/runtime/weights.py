"""The released model's weights: downloaded, checked, and converted to one file.

This package ships none of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import (
    CheckpointError,
    ConfigError,
    DownloadError,
    OutputError,
    missing_package,
)
from avatar_forcing_ros.model.checkpoint import inspect_checkpoint, save_checkpoint
from avatar_forcing_ros.model.released import (
    AUTOENCODER_FILE,
    LICENCE_FILES,
    SPEECH_FILES,
    SPEECH_FOLDER,
    TRANSFORMER_FILE,
    Progress,
    inspect_released,
    lacks_speech,
    load_released,
)
from avatar_forcing_ros.model.weight_report import FileReport, WeightReport, few

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CONVERTED_FILE = "avatar_forcing.safetensors"
SUFFIX = ".safetensors"
LICENCE_LINES = 6


def check_weights(place: Path, config: ModelConfig, progress: Progress) -> WeightReport:
    """What there is in a folder of released files, or in a converted file.

    Raises CheckpointError for a file of another kind; all else is in the report.
    """
    _require_there(place)
    if place.suffix == SUFFIX and not place.is_dir():
        return inspect_checkpoint(place)
    if place.is_file():
        raise CheckpointError(
            f"weights {place}",
            expected=f"a folder of released files, or one {SUFFIX} file",
            got=f"a file that ends in '{place.suffix}'",
            remedy=f"give its folder: avatar-forcing weights check {place.parent}",
        )
    return inspect_released(place, config, progress)


def convert_weights(
    folder: Path, output: Path | None, dtype: str, config: ModelConfig, progress: Progress
) -> Path:
    """Write the released weights in `folder` as one file, whole or not at all; returns its path.

    Without `output` it lies beside them. Raises CheckpointError where the released weights are
    not complete and sound, OutputError or ConfigError for an `output` or `dtype` of no use.
    """
    _require_there(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"weights {folder}",
            expected="a folder of released files",
            got="a file",
            remedy="give its folder; a file that was converted needs nothing more",
        )
    if dtype not in DTYPES:
        raise ConfigError(
            "dtype", expected=f"one of {', '.join(DTYPES)}", got=dtype, remedy="choose one"
        )
    output = output or folder / CONVERTED_FILE
    if output.suffix != SUFFIX:
        raise OutputError(
            f"output {output}",
            expected=f"a name that ends in {SUFFIX}",
            got=output.suffix or "no ending",
            remedy="rename it",
        )
    if output.resolve() == (folder / SPEECH_FOLDER / SPEECH_FILES[0]).resolve():
        raise OutputError(
            f"output {output}",
            expected="another file than those that are converted",
            got="one of them",
            remedy="choose another name",
        )
    generator, autoencoder, origin = load_released(folder, config, progress)
    progress("taking fingerprints of the files")
    for name, source in origin["sources"].items():
        source["sha256"] = _sha256(folder / name)
    progress(f"writing {output}")
    save_checkpoint(output, generator, origin, DTYPES[dtype], autoencoder)
    return output


def _require_there(place: Path) -> None:
    if not place.exists():
        raise CheckpointError(
            "weights",
            expected=f"a folder of released files, or a {SUFFIX} file",
            got=f"nothing at {place}",
            remedy="check the path, or get them with 'avatar-forcing weights fetch DIR'",
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def as_text(report: WeightReport) -> str:
    """The report for a person: a table, what is wrong, the licence, what to do next."""
    width = max(len(file.name) for file in report.files)
    lines = [f"Weights in {report.place}", "", f"{'file':{width}}  {'size':>9}  {'tensors':>10}"]
    for file in report.files:
        findings = file.findings
        size = "" if file.size_bytes is None else f"{file.size_bytes / 1e6:.1f} MB"
        count = f"{findings.fitting} of {findings.wanted}" if findings.wanted else ""
        lines.append(f"{file.name:{width}}  {size:>9}  {count:>10}  {_state(file)}")
    details = [detail for file in report.files for detail in _details(file)]
    if details:
        lines += ["", *details]
    lines += ["", *_licence(report.licence), "", next_step(report)]
    return "\n".join(lines)


def next_step(report: WeightReport) -> str:
    """One sentence: what the reader can do now."""
    place = report.place
    if Path(place).suffix == SUFFIX:
        if not report.usable:
            return "Next: convert it again (avatar-forcing weights convert) or train it again."
        preset = "--preset paper " if report.motion_space == "latent" else ""
        return f"Usable. Next: give it to a command as {preset}--weights {place}"
    if report.usable:
        return (
            f"Complete. Next: use it as it is (--preset paper --weights {place}), or make one "
            f"file of it: avatar-forcing weights convert {place}"
        )
    absent = [file.name for file in report.files if file.size_bytes is None]
    if absent:
        return (
            f"Not usable. Next: put {', '.join(absent)} there, or let "
            f"'avatar-forcing weights fetch {place} --repo OWNER/NAME' do it."
        )
    return "Not usable. Next: download the files that are wrong again, from their authors."


def _state(file: FileReport) -> str:
    if file.size_bytes is None:
        return f"missing, {file.note}" if file.note else "missing"
    if file.problem:
        return "cannot be read"
    wrong = [f"{len(names)} {kind}" for kind, names in file.findings.by_kind().items() if names]
    return ", ".join(wrong or [file.note or "complete"])


def _details(file: FileReport) -> list[str]:
    if file.size_bytes is None:
        return []
    if file.problem:
        return [f"{file.name}: {file.problem}"]
    kinds = file.findings.by_kind()
    return [f"{file.name}, {kind}: {few(names)}" for kind, names in kinds.items() if names]


def _licence(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) <= 1:
        return [f"Licence: {lines[0] if lines else 'the file names none'}"]
    shown = [f"    {line}" for line in lines[:LICENCE_LINES]]
    more = [f"    … and {len(lines) - LICENCE_LINES} more lines"]
    return ["Licence:", *shown, *(more if len(lines) > LICENCE_LINES else [])]


REPOSITORY_VARIABLE = "AVATAR_FORCING_WEIGHTS_REPO"
LICENCE_NOTICE = """\
The weights of Avatar Forcing belong to the authors of the paper (arXiv 2601.00664). This package
ships none of them and is not theirs. They gave them out under Creative Commons BY-NC 4.0
(https://creativecommons.org/licenses/by-nc/4.0/): name the authors where you show what the weights
make, and do not use the weights commercially. Files made of them, such as a converted one, stay
under that licence. The licence file in their repository is what counts.
"""


def fetch_weights(
    folder: Path,
    repository: str | None,
    speech_repository: str,
    revision: str | None,
    accepted: bool,
    progress: Progress,
) -> None:
    """Download the files that are needed, and no others, into `folder`; goes on where it stopped.

    The repository is OWNER/NAME on Hugging Face, by default what the environment variable
    AVATAR_FORCING_WEIGHTS_REPO says. Raises ConfigError where it or the licence's acceptance is
    missing, DownloadError where a file cannot be had.
    """
    repository = repository or os.environ.get(REPOSITORY_VARIABLE)
    if not repository:
        raise ConfigError(
            "--repo",
            expected="the authors' repository on Hugging Face, as OWNER/NAME",
            got="none",
            remedy=f"find it from the paper's page, then give --repo or set {REPOSITORY_VARIABLE}",
        )
    if not accepted:
        progress(LICENCE_NOTICE)
        raise ConfigError(
            "the weights' licence",
            expected="your consent to it",
            got="no --accept-licence",
            remedy="read it, then repeat the command with --accept-licence",
        )
    if any((folder / name).is_file() for name in LICENCE_FILES) and not _is_ours(folder):
        raise OutputError(
            f"folder {folder}",
            expected="an empty folder, or one that a download was begun in",
            got="one with a licence of its own, which a download would replace",
            remedy="name a folder for the weights alone",
        )
    wanted = (AUTOENCODER_FILE, TRANSFORMER_FILE, *LICENCE_FILES)
    progress(f"downloading from {repository}")
    _download(repository, folder, wanted, revision)
    if not lacks_speech(folder):
        return
    progress(f"downloading the speech encoder from {speech_repository}")
    for name in SPEECH_FILES:  # one of them is enough, the safe one first
        _download(speech_repository, folder / SPEECH_FOLDER, ("config.json", name), None)
        if (folder / SPEECH_FOLDER / name).is_file():
            return


def _is_ours(folder: Path) -> bool:
    """Whether weights, or a part of them, were downloaded to `folder` before."""
    parts = (AUTOENCODER_FILE, TRANSFORMER_FILE, ".cache/huggingface")
    return any((folder / part).exists() for part in parts)


def _download(repository: str, folder: Path, names: Sequence[str], revision: str | None) -> None:
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise (missing_package(error) or error) from error
    try:
        snapshot_download(
            repository, revision=revision, local_dir=str(folder), allow_patterns=list(names)
        )
    except Exception as error:  # its releases use three network libraries, each with its own
        raise DownloadError(
            f"download from {repository}",
            expected="a repository on Hugging Face that can be reached and read",
            got=f"{type(error).__name__}: {_one_line(error)}",
            remedy="check the name, the network and (if it asks for a login) 'hf auth login', "
            "then repeat; what has come is kept",
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no reason given"
