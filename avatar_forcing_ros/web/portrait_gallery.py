"""Portraits to choose from on the page: the first, those that ship, those of a folder.

Files are decoded as uploads are. One that cannot be read is left out, and named in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import AvatarForcingError, ConfigError, MediaError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

FIRST = "first"  # the name of the portrait that the server begins with
MAX_PORTRAITS = 40
MAX_FILE_BYTES = 12 << 20  # as of an upload
THUMBNAIL_PX = 448
WEBP_QUALITY = 82
SHIPPED = "models/portraits"
MATTE_SUFFIX = ".matte.png"
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".heic", ".heif"),
    *(".avif", ".gif", ".tif", ".tiff", ".bmp"),
)
VISITOR = "the gallery"  # to the decoder, which takes one file of each at a time
logger = logging.getLogger(__name__)


def portrait_files(folder: Path | None, first: Path) -> list[Path]:
    """The images of `folder`, then those that ship, without `first`, which is shown anyway.

    Of two with one name the folder's is taken. ConfigError for a folder that cannot be read.
    """
    at_home = shipped(SHIPPED)
    files: dict[str, Path] = {}
    for path in [*(_images(folder) if folder else []), *_images(at_home)]:
        if path.resolve() != first.resolve():
            files.setdefault(path.name, path)
    if len(files) > MAX_PORTRAITS:
        logger.warning("portraits: the first %d of %d are offered", MAX_PORTRAITS, len(files))
    return list(files.values())[:MAX_PORTRAITS]


def _images(folder: Path) -> list[Path]:
    """Files in `folder` that are named as images are, by name."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name.lower())
    except OSError as error:
        raise ConfigError(
            f"portraits {folder}",
            expected="a folder with images of faces",
            got=error.strerror or str(error),
            remedy="check the path",
        ) from None
    return [
        path
        for path in paths
        if path.suffix.lower() in SUFFIXES
        and path.name.isprintable()  # else it is no text that a page could name
        and not path.name.startswith(".")
        and not path.name.endswith(MATTE_SUFFIX)
        and path.is_file()
    ]


@dataclass(frozen=True)
class _Entry:
    label: str
    thumbnail: bytes


class PortraitGallery:
    """Lives in an event loop; thumbnails are made by `prepare`, and asked for after that."""

    def __init__(
        self, files: Sequence[Path], decoder: UploadDecoder, first_label: str = ""
    ) -> None:
        self._files, self._decoder, self._first_label = files, decoder, first_label
        self._entries: dict[str, _Entry] = {}

    async def prepare(self, first: NDArray[np.uint8] | None) -> None:
        """Read all files, one after the other; `first` is the avatar's own portrait."""
        if first is not None:
            coded = await asyncio.to_thread(thumbnail, first)
            self._entries[FIRST] = _Entry(self._first_label, coded)
        bad = []
        for path in self._files:
            try:
                coded = await asyncio.to_thread(thumbnail, await self._decoded(path, VISITOR))
            except (AvatarForcingError, OSError) as error:
                bad.append(f"{path.name!r} ({error})")
            else:
                self._entries[path.name] = _Entry(label_of(path), coded)
        if bad:  # in one line, since lines are limited
            logger.warning("portraits left out: %s", ", ".join(bad))

    def list(self) -> list[dict[str, str]]:
        """The `name` and `label` of each, the first one's first; a label may be empty."""
        return [{"name": name, "label": one.label} for name, one in self._entries.items()]

    def thumbnail(self, name: str) -> bytes:
        """A small WebP image; RefusedError (404) for an unknown name."""
        return self._entry(name).thumbnail

    async def image(self, name: str, visitor: str) -> tuple[NDArray[np.uint8], Path] | None:
        """The image ``[H, W, 3]`` RGB of that name and its file; None for the first portrait.

        Raises RefusedError (404) for an unknown name, and as `UploadDecoder.image` does.
        """
        if name == FIRST:
            self._entry(name)
            return None
        self._entry(name)
        path = next(one for one in self._files if one.name == name)
        return await self._decoded(path, visitor), path

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise RefusedError(
                404, "portrait", expected="one of those that are offered", got=repr(name[:40]),
                remedy="choose another",
            )  # fmt: skip
        return entry

    async def _decoded(self, path: Path, visitor: str) -> NDArray[np.uint8]:
        """The image in a file, ``[H, W, 3]`` RGB; MediaError where it cannot be read."""
        try:
            data = await asyncio.to_thread(_content, path)
        except OSError as error:
            raise MediaError(
                "portrait", expected="a file that can be read",
                got=error.strerror or str(error), remedy="choose another",
            ) from None  # fmt: skip
        return await self._decoder.image(data, visitor)


def _content(path: Path) -> bytes:
    """The bytes of a file; MediaError for a large one."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise MediaError(
            "portrait", expected=f"a file of at most {MAX_FILE_BYTES >> 20} MB", got="more",
            remedy="make it smaller",
        )  # fmt: skip
    return data


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """`image` as `webp` takes it, coded so, with THUMBNAIL_PX at most on its larger side."""
    height, width = image.shape[:2]
    scale = min(1.0, THUMBNAIL_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return webp(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))


def webp(image: NDArray[np.uint8]) -> bytes:
    """`image` ``[H, W, 3]`` RGB or ``[H, W, 4]`` RGBA as WebP, which keeps both."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    _, coded = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    return bytes(coded.tobytes())


def label_of(path: Path) -> str:
    """A file's name as a person reads it."""
    words = path.stem.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:40]
