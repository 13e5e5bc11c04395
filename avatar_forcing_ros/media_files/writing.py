"""Results to files: whole or not at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.reserved_file import ReservedFile
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ, samples_to_frames

_Writer = TypeVar("_Writer", bound="VideoWriter")
AUDIO_BIT_RATE = 96_000
CONSTANT_RATE_FACTOR = "20"


@contextmanager
def json_file(path: Path | None) -> Iterator[dict[str, Any]]:
    """A table to be filled in, written readably to `path` (None: nowhere) when all went well.

    Raises OutputError at once if `path` cannot be written.
    """
    values: dict[str, Any] = {}
    if path is None:
        yield values
        return
    with atomic_write(path) as part:
        yield values
        part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def save_image(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write `pixels` ``[H, W, 3]`` RGB as PNG or JPEG, by the ending of `path`."""
    encoded, data = False, np.zeros(0, np.uint8)
    with contextlib.suppress(cv2.error):  # an ending that it does not know
        encoded, data = cv2.imencode(path.suffix, np.ascontiguousarray(pixels[..., ::-1]))
    if not encoded:
        raise OutputError(
            f"output {path}",
            expected="a name that ends in .png or .jpg",
            got=path.suffix or "no ending",
            remedy="choose another name",
        )
    with atomic_write(path) as part:
        part.write_bytes(data.tobytes())


@dataclass(frozen=True)
class VideoFormat:
    """Container and codecs, FFmpeg's names; `alpha_pixels` is empty where alpha is lost."""

    container: str
    video: str
    options: dict[str, str]
    pixels: str
    alpha_pixels: str
    audio: str
    audio_bit_s: int


MP4 = VideoFormat(
    "mp4",
    "libx264",
    {"crf": CONSTANT_RATE_FACTOR, "preset": "veryfast"},
    "yuv420p",
    "",
    "aac",
    AUDIO_BIT_RATE,
)


class VideoWriter:
    """Video and audio in a container at the project's rates; use as a context manager."""

    def __init__(
        self,
        file: Path | ReservedFile,
        width_px: int,
        height_px: int,
        form: VideoFormat,
        *,
        has_alpha: bool = False,
    ) -> None:
        """`has_alpha`: frames are RGBA, which only formats with `alpha_pixels` keep."""
        path_or_file = str(file) if isinstance(file, Path) else file
        self._container = av.open(path_or_file, "w", format=form.container)
        video = self._container.add_stream(form.video, FRAME_RATE_HZ, form.options)
        self._video = cast(av.VideoStream, video)
        self._video.width, self._video.height = width_px, height_px
        self._video.pix_fmt = form.alpha_pixels if has_alpha else form.pixels
        if has_alpha and form.container == "webm":
            self._video.metadata["alpha_mode"] = "1"  # or players take no notice of it
        self._video.thread_count = 1  # the same file every time, and a core left for the avatar
        audio = self._container.add_stream(form.audio, SAMPLE_RATE_HZ, layout="mono")
        self._audio = cast(av.AudioStream, audio)
        if form.audio_bit_s:
            self._audio.bit_rate = form.audio_bit_s
        self._layout = "rgba" if has_alpha else "rgb24"
        self._frames = 0
        self._samples = 0

    def __enter__(self: _Writer) -> _Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for stream in (self._video, self._audio):
                self._container.mux(stream.encode(None))
        self._container.close()

    def write(self, pixels: NDArray[np.uint8], audio: NDArray[np.float32]) -> None:
        """Append frames ``[T, H, W, 3]`` RGB, or RGBA, and their audio ``[640 T]``."""
        for image in pixels:
            frame = av.VideoFrame.from_ndarray(image, format=self._layout)
            frame.pts = self._frames
            self._frames += 1
            self._container.mux(self._video.encode(frame))
        self._append_audio(audio)

    def hold(self, audio: NDArray[np.float32]) -> None:
        """Append `audio` ``[640 T]`` alone: the last image stays for `T` frames."""
        self._frames += samples_to_frames(len(audio))
        self._append_audio(audio)

    def _append_audio(self, audio: NDArray[np.float32]) -> None:
        frame = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, self._samples
        self._samples += len(audio)
        self._container.mux(self._audio.encode(frame))


class Mp4Writer(VideoWriter):
    """H.264 and AAC."""

    def __init__(self, file: Path | ReservedFile, width_px: int, height_px: int) -> None:
        super().__init__(file, width_px, height_px, MP4)
