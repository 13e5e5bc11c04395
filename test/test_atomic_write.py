"""A file is written whole or not at all, and a place that cannot be written is refused at once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.writing import Mp4Writer


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


def test_a_full_disk_names_the_file_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_text("old")
    with (
        full_disk(10_000),
        pytest.raises(OutputError, match=r"out\.bin: expected room for it.*make room") as caught,
        atomic_write(path) as part,
    ):
        part.write_bytes(bytes(20_000))
    assert caught.value.got == os.strerror(errno.EFBIG)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_that_fills_the_disk_is_told_as_well(tmp_path: Path) -> None:
    """FFmpeg's errors have the temporary file's name."""
    noise = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
    with (
        full_disk(10_000),
        pytest.raises(OutputError, match=r"out\.mp4: expected room for it"),
        atomic_write(tmp_path / "out.mp4") as part,
        Mp4Writer(part, 64, 64) as video,
    ):
        video.write(noise, np.zeros(20 * 640, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_files_and_kinds_pass(tmp_path: Path) -> None:
    for error in (OSError(errno.ENOSPC, "full", "elsewhere"), OSError(errno.EIO, "broken")):
        with pytest.raises(OSError, match=error.strerror), atomic_write(tmp_path / "out"):
            raise error
