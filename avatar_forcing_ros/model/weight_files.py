"""Files that only look like weights: what came in the place of a download."""

from __future__ import annotations

import re
from pathlib import Path

from avatar_forcing_ros.errors import CheckpointError

HEAD_BYTES = 512
GIT_LFS = b"version https://git-lfs"
GIT_LFS_SIZE = re.compile(rb"\nsize (\d+)")
WEB_PAGE = (b"<!doctype html", b"<html")
DOWNLOAD_AGAIN = "download it again"


def require_content(path: Path) -> bytes:
    """The first bytes of the file at `path`.

    Raises CheckpointError where it is empty, stands for another file (Git LFS) or is a web page,
    and where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        got, remedy = f"one that cannot be read ({error.strerror})", "check its permissions"
        raise _no_weights(path, got, remedy) from error
    if not head:
        raise _no_weights(path, "an empty file", DOWNLOAD_AGAIN)
    if head.startswith(GIT_LFS):
        size = GIT_LFS_SIZE.search(head)
        of = f" of {int(size[1]) / 1e6:.0f} MB" if size else ""
        raise _no_weights(
            path,
            f"a Git LFS pointer, which stands for a file{of}",
            "run 'git lfs pull' where it was cloned, or download the file itself",
        )
    if head.lstrip().lower().startswith(WEB_PAGE):
        raise _no_weights(
            path,
            "a web page",
            "download the file itself, by a browser where the page asks for something",
        )
    return head


def _no_weights(path: Path, got: str, remedy: str) -> CheckpointError:
    return CheckpointError(f"weights {path}", expected="a file of weights", got=got, remedy=remedy)
