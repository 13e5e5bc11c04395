"""A file on a device that may fill up: room for its end is kept from the beginning."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO, Any

from avatar_forcing_ros.atomic_write import NO_ROOM

_PART_BYTES = 1 << 16


class ReservedFile:
    """What a writer of files needs, onto `file`, which is not buffered, and is closed by `close`.

    `reserve` is a file that takes room on the same device. Once there is no other, it is given
    back and `full` is true: whoever writes comes to an end then.
    """

    def __init__(self, file: IO[bytes], reserve: IO[bytes]) -> None:
        self._file, self._reserve = file, reserve
        self.full = False
        self.name = str(getattr(file, "name", ""))

    @classmethod
    def open(cls, path: Path, reserve_bytes: int) -> ReservedFile:
        """Write to `path`; OSError where not even `reserve_bytes` have room."""
        reserve = tempfile.TemporaryFile(dir=path.parent, buffering=0)  # noqa: SIM115
        try:
            for at in range(0, reserve_bytes, _PART_BYTES):
                # not zeros, which some file systems do not store
                _write_all(reserve, os.urandom(min(_PART_BYTES, reserve_bytes - at)))
            return cls(path.open("wb", buffering=0), reserve)
        except OSError:
            reserve.close()
            raise

    def write(self, data: bytes) -> int:
        """Write all of `data`; OSError where it does not fit into what was kept, either."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                if self.full or error.errno not in NO_ROOM:
                    raise
                self.full = True
                self._reserve.close()
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As files do."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file, and give back what was kept."""
        self._reserve.close()
        self._file.close()

    def __enter__(self) -> ReservedFile:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def _write_all(file: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
