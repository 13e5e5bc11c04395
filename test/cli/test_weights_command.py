"""``avatar-forcing weights`` as a person meets it: its words and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest
from released import SMALL_PAPER, TRANSFORMER, parameters, split, write_release

from avatar_forcing_ros.cli import main


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avatar_forcing_ros.cli.weights.PAPER_MODEL", SMALL_PAPER)


def run(*arguments: object) -> int:
    return main(["weights", *map(str, arguments)])


def test_the_way_from_files_to_one_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_release(tmp_path / "release")
    assert run("check", folder, "--json", tmp_path / "r.json") == 0
    assert f"avatar-forcing weights convert {folder}" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["usable"] is True
    assert [file["findings"]["missing"] for file in report["files"]] == [[], []]
    assert run("convert", folder, "-o", tmp_path / "w.safetensors") == 0
    printed = capsys.readouterr()
    assert f"Wrote {tmp_path / 'w.safetensors'}" in printed.out
    assert "writing" in printed.err
    assert run("check", tmp_path / "w.safetensors") == 0


def test_what_cannot_be_used_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = split(parameters())
    del files[TRANSFORMER]["flow_transformer.final_layer.linear.bias"]
    folder = write_release(tmp_path / "release", files)
    assert run("check", folder, "--json", tmp_path / "r.json") == 1
    assert "flow_transformer.final_layer.linear.bias" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["usable"] is False
    missing = report["files"][1]["findings"]["missing"]
    assert missing == ["flow_transformer.final_layer.linear.bias"]
    assert run("convert", folder) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("avatar-forcing: released weights")
    assert run("check", tmp_path / "nowhere") == 1


@pytest.mark.parametrize("flag", ["--accept-licence", "--accept-license"])
def test_fetch_ends_with_a_check(
    flag: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def download(repository: str, *, local_dir: str, **_: object) -> str:
        write_release(Path(local_dir))
        return local_dir

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert run("fetch", tmp_path, "--repo", "them/theirs") == 1
    printed = capsys.readouterr()
    assert "BY-NC" in printed.err
    assert list(tmp_path.iterdir()) == []
    assert run("fetch", tmp_path, "--repo", "them/theirs", flag) == 0
    assert "Complete. Next:" in capsys.readouterr().out


def test_a_fetch_without_network_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert run("fetch", tmp_path, "--repo", "them/theirs", "--accept-licence") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("avatar-forcing: download from them/theirs: expected")
    assert "no route to host" in lines[-1]


def test_the_face_trackers_model_is_fetched_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "avatar_forcing_ros.perception.landmarker_file.fetch_landmarker",
        lambda progress: Path("/data/face_landmarker.task"),
    )
    assert run("fetch", "face") == 0
    assert "(Apache-2.0): /data/face_landmarker.task" in capsys.readouterr().out
