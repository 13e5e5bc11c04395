"""Videos by the name of what is written: MP4, WebM, QuickTime, or numbered PNG files."""

from __future__ import annotations

import re
import shutil
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import NO_ROOM, atomic_write, no_room
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.writing import AUDIO_BIT_RATE, MP4, VideoFormat, VideoWriter
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

WITH_ALPHA = ".webm (VP9), .mov (ProRes 4444) or FOLDER/%05d.png"
AUDIO_NAME = "audio.wav"  # beside numbered PNG files
_PNG_COMPRESSION = 3  # 9 saves a tenth and takes five times as long
_NUMBERED = re.compile(r"[^%]*%(0\d)?d[^%]*\.png", re.IGNORECASE)

FORMATS = {
    ".mp4": MP4,
    ".webm": VideoFormat(
        "webm",
        "libvpx-vp9",
        # alpha is coded beside the colours, which alternate references would let run apart
        {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "auto-alt-ref": "0"},
        "yuv420p",
        "yuva420p",
        "libopus",
        AUDIO_BIT_RATE,
    ),
    ".mov": VideoFormat(
        "mov",
        "prores_ks",
        {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
        "yuv444p10le",
        "yuva444p10le",
        "pcm_s16le",
        0,
    ),
}


class FrameWriter(Protocol):
    """Takes frames and their audio in order."""

    def write(self, pixels: NDArray[np.uint8], audio: NDArray[np.float32]) -> None:
        """Append frames ``[T, H, W, 3]`` RGB, or RGBA, and their audio ``[640 T]``."""


def check_video_output(path: Path, *, has_alpha: bool = False) -> None:
    """Raise OutputError for a name that says no format, or one that loses alpha where there is."""
    if _is_numbered(path):
        if path.parent.exists() and not _is_empty_folder(path.parent):
            raise OutputError(
                f"output {path}", expected="a folder that is new or empty",
                got=f"{path.parent}, which is not", remedy="choose another folder",
            )  # fmt: skip
        return
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise OutputError(
            f"output {path}",
            expected=f"a name that ends in .mp4, {WITH_ALPHA}",
            got=path.suffix or "no ending",
            remedy="rename it",
        )
    if has_alpha and not form.alpha_pixels:
        raise OutputError(
            f"output {path}",
            expected=f"a format that can be transparent: {WITH_ALPHA}",
            got=path.suffix,
            remedy="rename it, or give a colour as --background",
        )


@contextmanager
def open_video(
    path: Path, width_px: int, height_px: int, *, has_alpha: bool = False
) -> Iterator[FrameWriter]:
    """A writer of the format that `path` names; what it makes is there as a whole or not at all.

    Raises OutputError as `check_video_output` does, and where it cannot be written.
    """
    check_video_output(path, has_alpha=has_alpha)
    if _is_numbered(path):
        with _atomic_folder(path) as folder, _PngWriter(folder / path.name) as numbered:
            yield numbered
        return
    form = FORMATS[path.suffix.lower()]
    with (
        atomic_write(path) as part,
        VideoWriter(part, width_px, height_px, form, has_alpha=has_alpha) as writer,
    ):
        yield writer


class _PngWriter:
    """Numbered PNG files from 0 on, named by `pattern`, and a WAV beside them."""

    def __init__(self, pattern: Path) -> None:
        self._pattern, self._frames = pattern, 0
        self._audio = wave.open(str(pattern.parent / AUDIO_NAME), "wb")  # noqa: SIM115
        self._audio.setnchannels(1)
        self._audio.setsampwidth(2)
        self._audio.setframerate(SAMPLE_RATE_HZ)

    def __enter__(self) -> _PngWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._audio.close()

    def write(self, pixels: NDArray[np.uint8], audio: NDArray[np.float32]) -> None:
        for image in pixels:
            order = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
            _, data = cv2.imencode(
                ".png",
                cv2.cvtColor(image, order),
                [cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION],
            )
            name = self._pattern.name % self._frames
            self._pattern.with_name(name).write_bytes(data.tobytes())
            self._frames += 1
        steps = np.clip(np.round(audio * 32767.0), -32768, 32767)
        self._audio.writeframes(steps.astype("<i2").tobytes())


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path`'s when all went well."""
    target = path.parent.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
    except OSError as error:
        raise OutputError(
            f"output {path}",
            expected="a folder that can be written",
            got=error.strerror or str(error),
            remedy="choose another place",
        ) from error
    try:
        yield part
        part.chmod(0o755)
        part.replace(target)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise no_room(path, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_numbered(path: Path) -> bool:
    return _NUMBERED.fullmatch(path.name) is not None


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
