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
    try:
        file = (
            _only_file(path) if path.is_dir() and not (path / "metadata.yaml").exists() else path
        )
        if file.suffix == ".db3":
            # takes back what was half written, which the reader, who only reads, would not
            uri = f"{file.resolve().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True)) as database:
                database.execute("SELECT count(*) FROM topics")
        reader = Reader(file)
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


def _only_file(folder: Path) -> Path:
    files = bag_files(folder)
    if len(files) != 1:
        raise FileNotFoundError(f"no metadata.yaml, and {len(files)} recorded files")
    return files[0]


def bag_files(path: Path) -> list[Path]:
    """The recorded files of a bag, in order."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return [file for file in files if file.suffix in (".db3", ".mcap", ".zstd")]


def describe_bag(path: Path) -> str:
    """Files, times and topics of the bag at `path`, for people to read; raises MediaError."""
    with open_bag(path) as bag:
        files = bag_files(path)
        lines = [
            ("Files", ", ".join(file.name for file in files)),
            ("Size", f"{sum(file.stat().st_size for file in files) / 2**20:.1f} MiB"),
            ("Messages", str(bag.message_count)),
        ]
        if bag.message_count:
            lines += [
                ("Duration", f"{(bag.duration - 1) / 1e9:.3f} s"),
                ("Start", _moment(bag.start_time)),
            ]
        for connection in sorted(bag.connections, key=lambda connection: connection.topic):
            count, kind = connection.msgcount, connection.msgtype
            lines.append(("Topic", f"{connection.topic} | {kind} | {count} messages"))
    return "\n".join(f"{f'{name}:':<10}{value}" for name, value in lines)


def _moment(stamp_ns: int) -> str:
    """Local time, and the seconds since 1970 as ROS writes them."""
    moment = datetime.datetime.fromtimestamp(stamp_ns / 1e9)
    return f"{moment:%Y-%m-%d %H:%M:%S} ({stamp_ns // 10**9}.{stamp_ns % 10**9:09d})"
