"""Opens rosbag2 bags, and says what is in them."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader, ReaderError

from avatar_forcing_ros.errors import MediaError


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """rosbags' Reader of a bag's folder, or of one of its files; raises MediaError."""
    try:
        reader = Reader(path)
        reader.open()
    except (ReaderError, FileNotFoundError, sqlite3.Error) as error:
        raise MediaError(
            f"bag {path}",
            expected="a folder with metadata.yaml, or an .mcap or .db3 file",
            got=" ".join(str(error).split()),
            remedy="check the path; 'ros2 bag reindex' mends a recording that was cut off",
        ) from error
    try:
        yield reader
    finally:
        reader.close()


def bag_text(path: Path) -> str:
    """Files, times and topics of the bag at `path`, for people to read; raises MediaError."""
    with open_bag(path) as bag:
        files = _files(path)
        size_bytes = sum(file.stat().st_size for file in files)
        lines = [
            ("Files", "  ".join(file.name for file in files)),
            ("Bag size", f"{size_bytes / 2**20:.1f} MiB"),
            ("Storage id", "sqlite3" if files[0].suffix == ".db3" else "mcap"),
        ]
        if bag.message_count:
            lines += [
                ("Duration", f"{bag.duration / 1e9:.3f} s"),
                ("Start", _moment(bag.start_time)),
                ("End", _moment(bag.end_time)),
            ]
        lines.append(("Messages", str(bag.message_count)))
        lines += [("Topics", _topic(connection)) for connection in _sorted(bag.connections)]
    text, before = "", ""
    for name, value in lines:
        label = "" if name == before else f"{name}:"
        text += f"{label:<12} {value}\n"
        before = name
    return text.rstrip("\n")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in (".mcap", ".db3", ".zstd"))


def _moment(stamp_ns: int) -> str:
    """Local time, and the seconds since 1970 as ROS writes them."""
    moment = datetime.datetime.fromtimestamp(stamp_ns / 1e9)
    return f"{moment:%Y-%m-%d %H:%M:%S.%f} ({stamp_ns // 10**9}.{stamp_ns % 10**9:09d})"


def _sorted(connections: list[Any]) -> list[Any]:
    return sorted(connections, key=lambda connection: str(connection.topic))


def _topic(connection: Any) -> str:
    return f"{connection.topic} | {connection.msgtype} | {connection.msgcount} messages"
