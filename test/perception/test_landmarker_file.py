"""Fetching FaceLandmarker's model file, as a person meets it; nothing is asked of the network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from avatar_forcing_ros.errors import DownloadError, OutputError
from avatar_forcing_ros.perception import landmarker_file
from avatar_forcing_ros.perception.landmarker_file import fetch_landmarker, fetched_file


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return fetched_file()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the server has, as a file: URL; the right one."""
    file = tmp_path / "source.task"
    file.write_bytes(b"landmarks")
    monkeypatch.setattr(landmarker_file, "SHA256", hashlib.sha256(b"landmarks").hexdigest())
    return file


def test_a_fetched_file_is_whole_and_fetched_once(place: Path, source: Path) -> None:
    said: list[str] = []
    assert fetch_landmarker(said.append, source.as_uri()) == place
    assert place.read_bytes() == b"landmarks"
    source.unlink()
    assert fetch_landmarker(said.append, source.as_uri()) == place
    assert "already there" in said[-1]


def test_another_file_is_not_kept(place: Path, source: Path) -> None:
    source.write_bytes(b"a page of a proxy")
    with pytest.raises(DownloadError, match="SHA-256"):
        fetch_landmarker(lambda _: None, source.as_uri())
    assert list(place.parent.iterdir()) == []


def test_a_damaged_file_is_fetched_again(place: Path, source: Path) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half")
    fetch_landmarker(lambda _: None, source.as_uri())
    assert place.read_bytes() == b"landmarks"


def test_no_network_and_no_place_are_one_sentence_each(
    place: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.unlink()
    with pytest.raises(DownloadError, match="name the file by the setting face_landmarker"):
        fetch_landmarker(lambda _: None, source.as_uri())
    place.parent.rmdir()
    place.parent.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="face_landmarker"):
        fetch_landmarker(lambda _: None, source.as_uri())
