"""A file is written whole or not at all, and a place that cannot be written is refused at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.errors import OutputError


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_text("old")

    def break_off() -> None:
        with atomic_write(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="no ordinary file"), atomic_write(Path("/dev/null")):
        pass
    with pytest.raises(OutputError), atomic_write(tmp_path / "file" / "out.mp4"):
        pass
    with pytest.raises(OutputError, match="no ordinary file"), atomic_write(tmp_path):
        pass
    if os.getuid():  # nothing is read-only for root
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(OutputError), atomic_write(tmp_path / "locked" / "out.mp4"):
            pass
