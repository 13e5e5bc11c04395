"""Opens rosbag2 bags, finished or cut off, and says what is in them."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader, ReaderError

from avatar_forcing_ros.errors import MediaError


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """rosbags' Reader of a bag's folder, or of one of its files; raises MediaError.

    A recording that was cut off has no metadata.yaml; its file is read itself then.
    """
    files = _files(path)
    if path.is_file() or (len(files) == 1 and not (path / "metadata.yaml").exists()):
        source = files[0] if files else path
    else:
        source = path
    try:
        for file in files:
            if file.suffix == ".db3":
                # takes back what was half written, which the reader, who only reads, would not
                uri = f"{file.resolve().as_uri()}?mode=rw"
                with closing(sqlite3.connect(uri, uri=True)) as database:
                    database.execute("SELECT count(*) FROM topics")
        reader = Reader(source)
        reader.open()
    except (ReaderError, FileNotFoundError, sqlite3.Error) as error:
        raise MediaError(
            f"bag {path}",
            expected="a folder with metadata.yaml, or an .mcap or .db3 file",
            got=" ".join(str(error).split()),
            remedy="check the path; 'ros2 bag reindex' may mend a recording that was cut off",
        ) from error
    try:
        yield reader
    finally:
        reader.close()


def describe_bag(path: Path) -> str:
    """Files, times and topics of the bag at `path`, for people to read; raises MediaError."""
    with open_bag(path) as bag:
        size_mib = sum(file.stat().st_size for file in _files(path)) / 2**20
        lines = [f"{', '.join(file.name for file in _files(path))}: {size_mib:.1f} MiB"]
        if bag.message_count:
            start = datetime.datetime.fromtimestamp(bag.start_time / 1e9)
            lines.append(f"{start:%Y-%m-%d %H:%M:%S}, {bag.duration / 1e9:.3f} s")
        lines.append(f"{bag.message_count} messages")
        for c in sorted(bag.connections, key=lambda connection: connection.topic):
            lines.append(f"{c.msgcount:8} {c.topic} [{c.msgtype}]")
    return "\n".join(lines)


def _files(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if file.suffix in (".db3", ".mcap", ".zstd")]
