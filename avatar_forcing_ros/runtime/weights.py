"""The released model's weights: checked, and converted to one file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import CheckpointError, ConfigError, OutputError
from avatar_forcing_ros.model.checkpoint import inspect_checkpoint, save_checkpoint
from avatar_forcing_ros.model.released import (
    SPEECH_FILES,
    SPEECH_FOLDER,
    Progress,
    inspect_released,
    load_released,
    release_folder,
)
from avatar_forcing_ros.model.weight_files import DOWNLOAD_AGAIN
from avatar_forcing_ros.model.weight_report import FileReport, WeightReport, few
from avatar_forcing_ros.weight_sources import AUTHORS_FOLDER

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CONVERTED_FILE = "avatar_forcing.safetensors"
SUFFIX = ".safetensors"
LICENCE_LINES = 6
CONVERT_AGAIN = "convert it again (avatar-forcing weights convert), or train it again"


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
    folder = release_folder(folder)
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
            remedies = [file.remedy for file in report.files if file.remedy]
            return f"Next: {(remedies or [CONVERT_AGAIN])[0]}."
        preset = "--preset paper " if report.motion_space == "latent" else ""
        return f"Usable. Next: give it to a command as {preset}--weights {place}"
    if report.usable:
        return (
            f"Complete. Next: use it as it is (--preset paper --weights {place}), or make one "
            f"file of it: avatar-forcing weights convert {place}"
        )
    steps = []
    absent = [file.name for file in report.files if file.size_bytes is None]
    if absent:
        steps.append(
            f"put {', '.join(absent)} there, from the authors' folder ({AUTHORS_FOLDER}) or by "
            f"'avatar-forcing weights fetch {place}'"
        )
    steps += [f"{file.name}: {_remedy(file)}" for file in report.files if _remedy(file)]
    return "\n  ".join(["Not usable. Next:", *steps])


def _remedy(file: FileReport) -> str:
    """What to do about a file that is there."""
    misfit = file.misfit()
    if not misfit:
        return file.remedy
    if not file.findings.missing and file.findings.not_finite:
        return f"{misfit}; {DOWNLOAD_AGAIN}"
    return (
        f"{misfit}: of another model, or of other code than the released one; the same download "
        f"gives the same. The authors' own is in {AUTHORS_FOLDER}"
    )


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
    wrong = [f"{file.name}, {kind}: {few(names)}" for kind, names in kinds.items() if names]
    return wrong + [f"{file.name}, note: {remark}" for remark in file.remarks()]


def _licence(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) <= 1:
        return [f"Licence: {lines[0] if lines else 'the file names none'}"]
    shown = [f"    {line}" for line in lines[:LICENCE_LINES]]
    more = [f"    … and {len(lines) - LICENCE_LINES} more lines"]
    return ["Licence:", *shown, *(more if len(lines) > LICENCE_LINES else [])]
