"""The page's files: read once, named by their version, kept by browsers for as long as they like.

Files name each other as ``/static/NAME`` or relative to themselves. The former is replaced by
``/static/VERSION/NAME`` where they are given out, so a browser that has one version of the page
asks for none of its files again, and never mixes two.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static/"
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"  # kept, but its tag is compared each time
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


def add_static_files(app: web.Application) -> None:
    """Give out the page at ``/``, and its files by their version and without."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    files = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in paths}
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name} {len(data)} ".encode() + data)
    version = digest.hexdigest()[:12]
    versioned = f"{PREFIX}{version}/"
    for name, data in files.items():
        body = data.replace(PREFIX.encode(), versioned.encode())
        app.router.add_get(f"{versioned}{name}", _giver(name, body, version, FOREVER))
        app.router.add_get(f"{PREFIX}{name}", _giver(name, body, version, ASK_AGAIN))
    page = files["index.html"].replace(PREFIX.encode(), versioned.encode())
    app.router.add_get("/", _giver("index.html", page, version, ASK_AGAIN))


def is_static(method: str, path: str) -> bool:
    """Whether a request is for the page or its files, which cost nothing and hold no secret."""
    return method in ("GET", "HEAD") and (path == "/" or path.startswith(PREFIX))


def _giver(
    name: str, body: bytes, version: str, cache_control: str
) -> Callable[[web.Request], Awaitable[web.Response]]:
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
    charset = "utf-8" if kind and kind.startswith("text/") else None
    headers = {"Cache-Control": cache_control, "ETag": f'"{version}"'}

    async def give(request: web.Request) -> web.Response:
        known = request.if_none_match
        if known and any(tag.value in (version, "*") for tag in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=kind, charset=charset, headers=headers)

    return give
