"""FaceLandmarker's model file: where it is looked for, and how it is fetched.

MediaPipe's releases for Python 3.13 and newer hold no models. This one is Google's, under the
Apache License 2.0, and the one that MediaPipe's documentation names.
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.errors import DownloadError

MODEL_PATH_VARIABLE = "AVATAR_FORCING_FACE_LANDMARKER"
FILE_NAME = "face_landmarker.task"
URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    + FILE_NAME
)
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
SIZE_BYTES = 3_758_596
FETCH_COMMAND = "avatar-forcing weights fetch face"
TIMEOUT_S = 30.0


def named_file(path: str | None = None) -> str | None:
    """The model file that the user named: `path`, or the environment variable's; None if none."""
    return path or os.environ.get(MODEL_PATH_VARIABLE) or None


def fetched_file() -> Path:
    """Where ``fetch_landmarker`` puts the file, and where it is looked for if none is named."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(data) / "avatar_forcing_ros" / FILE_NAME


def fetch_landmarker(progress: Callable[[str], None], url: str = URL) -> Path:
    """Download the model file, unless it is there; returns where it is.

    Nothing is kept of a file whose SHA-256 is another one. Raises DownloadError, and OutputError
    for a folder that cannot be written.
    """
    target = fetched_file()
    if target.is_file() and _is_it(target.read_bytes()):
        progress(f"already there: {target}")
        return target
    progress(f"downloading {url}")
    with atomic_write(target) as part:
        content = _download(url)
        if not _is_it(content):
            raise DownloadError(
                f"download of {url}",
                expected=f"{SIZE_BYTES} bytes with the SHA-256 {SHA256}",
                got=f"{len(content)} bytes with {hashlib.sha256(content).hexdigest()}",
                remedy="repeat; a proxy may have answered in its place",
            )
        part.write_bytes(content)
    return target


def _is_it(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def _download(url: str) -> bytes:
    """The content of `url`, one byte more than the file has at most."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return bytes(answer.read(SIZE_BYTES + 1))
    except (OSError, ValueError) as error:  # URLError is an OSError
        raise DownloadError(
            f"download of {url}",
            expected="a server that can be reached",
            got=str(error) or type(error).__name__,
            remedy="repeat, or load it down elsewhere and name the file by the setting "
            f"face_landmarker or by {MODEL_PATH_VARIABLE}",
        ) from error
