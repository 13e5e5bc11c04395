"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avatar_forcing_ros.errors import OutputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only when all went well.

    A link is followed. Raises OutputError at once if the file could not be written, and at the end
    of the room for it; what was there before is kept.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            raise OSError(0, "something that is no ordinary file")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}.", suffix=f".part{target.suffix}"
        )
        os.close(handle)
    except OSError as error:
        raise OutputError(
            f"output {path}",
            expected="a file that can be written",
            got=error.strerror or str(error),
            remedy="choose another place",
        ) from error
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        os.replace(part, target)
    except OSError as error:
        elsewhere = error.filename not in (None, name)
        if error.errno not in NO_ROOM or elsewhere:
            raise
        raise no_room(path, error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def no_room(path: Path, got: str) -> OutputError:
    """The error for a file that could not be written to its end."""
    return OutputError(
        f"output {path}",
        expected="room for it on the device",
        got=got,
        remedy="make room and repeat; what was there before is kept",
    )
