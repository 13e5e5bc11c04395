"""A token for a server that others reach, and the link that carries it: as text, as a QR code."""

from __future__ import annotations

import io
import os
import secrets
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from avatar_forcing_ros.errors import OutputError

TOKEN_BYTES = 24


def make_token(path: Path) -> None:
    """Write a random URL-safe token to `path`, which its owner alone may read.

    A file that is there stays, so that links with its token stay good. OutputError where it cannot
    be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_urlsafe(TOKEN_BYTES)}\n")
    except OSError as error:
        path.unlink(missing_ok=True)  # an empty one would stay, and be refused the next time
        raise _not_written(path, error) from error


def share_link(url: str, token: str) -> str:
    """The page at `url`, opened with `token`; behind ``#``, which is in no server's log."""
    return f"{url.rstrip('/')}/#token={quote(token, safe='')}"


def qr_code(text: str) -> str:
    """`text` as a QR code of characters for a terminal; empty without the package segno."""
    try:
        import segno
    except ImportError:
        return ""
    drawn = io.StringIO()
    segno.make_qr(text, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue()


@lru_cache(maxsize=8)
def qr_image(text: str) -> str:
    """`text` as a QR code, an SVG with dark modules on white; empty without the package segno."""
    try:
        import segno
    except ImportError:
        return ""
    drawn = io.BytesIO()
    code = segno.make_qr(text, error="l")
    code.save(drawn, kind="svg", scale=4, border=4, light="#fff", omitsize=True, xmldecl=False)
    return drawn.getvalue().decode()


def _not_written(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"token file {path}",
        expected="a place that can be written",
        got=error.strerror or str(error),
        remedy="name another place with --make-token",
    )
