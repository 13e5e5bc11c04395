"""What a person reads about released weights, and the one file made of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from released import (
    AUTOENCODER,
    SMALL_PAPER,
    TRANSFORMER,
    parameters,
    speech_folder,
    split,
    write_release,
)
from safetensors.torch import load_file

from avatar_forcing_ros.errors import CheckpointError, ConfigError, OutputError
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.model.released import no_progress
from avatar_forcing_ros.runtime.weights import as_text, check_weights, convert_weights


def check(place: Path) -> str:
    return as_text(check_weights(place, SMALL_PAPER, no_progress))


def convert(folder: Path, output: Path | None = None, dtype: str = "float32") -> Path:
    return convert_weights(folder, output, dtype, SMALL_PAPER, no_progress)


def row(text: str, name: str) -> list[str]:
    """The table's columns for one file."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return [column.strip() for column in line.split("  ") if column.strip()]


def test_a_complete_release_says_so_and_what_comes_next(tmp_path: Path) -> None:
    text = check(write_release(tmp_path))
    count = len(split(parameters())[AUTOENCODER]) - 2
    assert row(text, AUTOENCODER)[2:] == [f"{count} of {count}", "complete"]
    assert "CC BY-NC 4.0" in text
    assert text.endswith(f"file of it: avatar-forcing weights convert {tmp_path}")
    assert f"Complete. Next: use it as it is (--preset paper --weights {tmp_path})" in text


def test_each_fault_has_its_line(tmp_path: Path) -> None:
    files = split(parameters())
    here = files[TRANSFORMER]
    names = list(here)[1:]  # the first is one that may be missing
    here["flow_transformer.more"] = here.pop(names[0])
    here[names[1]] = torch.zeros(7)
    here[names[2]] = torch.zeros(2, dtype=torch.int32)
    here[names[3]] = here[names[3]] * float("nan")
    write_release(tmp_path, files)
    (tmp_path / AUTOENCODER).write_text("no weights")
    (tmp_path / "LICENSE").write_text("\n".join(f"Term {k}" for k in range(20)))
    text = check(tmp_path)
    for line in (
        f"{TRANSFORMER}, missing: {names[0]}",
        f"{TRANSFORMER}, note: left out, as the network has no such tensors: flow_transformer.m",
        f"{TRANSFORMER}, of another shape: {names[1]} ([7] instead of ",
        f"{TRANSFORMER}, no floating-point numbers: {names[2]}",
        f"{TRANSFORMER}, with values that are no numbers: {names[3]}",
        f"{AUTOENCODER}: a file that is damaged",
        "    Term 5\n    … and 14 more lines",
    ):
        assert line in text
    assert row(text, AUTOENCODER)[-1] == "cannot be read"
    first, *steps = text.splitlines()[-3:]
    assert first == "Not usable. Next:"
    assert steps[0] == f"  {AUTOENCODER}: download it again, from a place you trust"
    assert steps[1].startswith(
        f"  {TRANSFORMER}: its tensors are those of another network, or not"
    )
    assert "download" not in steps[1].replace("the same download gives the same", "")


def test_an_empty_folder_is_reported_how_to_fill(tmp_path: Path) -> None:
    text = check(tmp_path)
    assert row(text, AUTOENCODER)[-1] == "missing"
    assert f"avatar-forcing weights fetch {tmp_path}'" in text
    assert "drive.google.com/drive/folders/1rN52J2QXD8A-r2CZ8nDqFdwvZuPRmMsc" in text


def test_missing_and_damaged_files_both_have_their_next_step(tmp_path: Path) -> None:
    write_release(tmp_path)
    (tmp_path / AUTOENCODER).unlink()
    (tmp_path / TRANSFORMER).write_text("version https://git-lfs.github.com/spec/v1\nsize 12\n")
    steps = check(tmp_path).split("Not usable. Next:")[1]
    assert f"put {AUTOENCODER}, wav2vec2-base-960h/model.safetensors there" in steps
    assert f"{TRANSFORMER}: run 'git lfs pull'" in steps


def test_names_of_other_code_are_shown_and_no_download_is_advised(tmp_path: Path) -> None:
    files = split(parameters())
    name = "flow_transformer.final_layer.linear.bias"
    other = "flow_transformer.head.linear.bias"
    files[TRANSFORMER][other] = files[TRANSFORMER].pop(name)
    steps = check(write_release(tmp_path, files)).split("Not usable. Next:")[1]
    assert f"its tensors have other names ({other} where {name} is wanted)" in steps
    assert "download it again" not in steps


def test_a_pointer_in_place_of_a_converted_file_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\nsize 12\n")
    assert "Next: run 'git lfs pull'" in check(path)


def test_the_folder_above_is_converted(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "pretrained_dir")
    assert convert(tmp_path) == folder / "avatar_forcing.safetensors"


def test_a_converted_file_is_understood(tmp_path: Path) -> None:
    made = convert(write_release(tmp_path / "release"))
    assert made == tmp_path / "release" / "avatar_forcing.safetensors"
    text = check(made)
    assert row(text, made.name)[-1] == "with its motion autoencoder"
    assert "Licence: CC-BY-NC-4.0" in text
    assert text.endswith(f"Usable. Next: give it to a command as --preset paper --weights {made}")
    made.write_bytes(made.read_bytes()[:1000])
    assert "convert it again" in check(made)
    for absent in ("none.safetensors", "nowhere"):
        with pytest.raises(CheckpointError, match="nothing at"):
            check(tmp_path / absent)
    with pytest.raises(CheckpointError, match="give its folder"):
        check(tmp_path / "release" / AUTOENCODER)


def test_stages_of_long_work_are_reported(tmp_path: Path) -> None:
    stages: list[str] = []
    folder = write_release(tmp_path)
    convert_weights(folder, None, "float32", SMALL_PAPER, stages.append)
    assert [stage.split()[0] for stage in stages] == [
        "reading",
        "reading",
        "filling",
        "taking",
        "writing",
    ]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_type_of_number_is_chosen(dtype: str, tmp_path: Path) -> None:
    made = convert(write_release(tmp_path), tmp_path / "w.safetensors", dtype)
    assert {t.dtype for t in load_file(made).values()} == {getattr(torch, dtype)}
    loaded = load_checkpoint(made)
    assert loaded.motion_autoencoder is not None
    digest = hashlib.sha256((tmp_path / TRANSFORMER).read_bytes()).hexdigest()
    assert loaded.origin["sources"][TRANSFORMER]["sha256"] == digest


def test_no_file_is_made_of_unaudio_weights(tmp_path: Path) -> None:
    files = split(parameters())
    del files[TRANSFORMER]["flow_transformer.final_layer.linear.bias"]
    folder = write_release(tmp_path / "release", files)
    with pytest.raises(CheckpointError, match=r"final_layer\.linear\.bias is missing"):
        convert(folder, tmp_path / "w.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_useless_outputs_are_refused(tmp_path: Path) -> None:
    tensors = parameters()
    speech = {n: tensors.pop(n) for n in list(tensors) if n.startswith("audio_encoder.wav2vec2.")}
    folder = write_release(tmp_path, split(tensors))
    speech_folder(folder, speech)
    source = folder / "wav2vec2-base-960h" / "model.safetensors"
    before = source.read_bytes()
    with pytest.raises(OutputError, match="one of them"):
        convert(folder, source)
    assert source.read_bytes() == before
    with pytest.raises(OutputError, match=r"ends in \.safetensors"):
        convert(folder, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="one of float32, bfloat16, float16"):
        convert(folder, dtype="int8")
