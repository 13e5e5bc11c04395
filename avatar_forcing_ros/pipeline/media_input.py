"""Sound and pictures from files, in the units that the session wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from av.error import FFmpegError
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

AUDIO_REMEDY = "give a WAV, FLAC, OGG, MP3 or any file with a sound track that FFmpeg reads"
VIDEO_REMEDY = "give an MP4, WebM or any file with a video track that FFmpeg reads"


def read_audio(path: Path) -> NDArray[np.float32]:
    """The sound in `path` as 16 kHz mono ``[n]`` float32, whatever its rate and channels.

    Raises MediaError if it cannot be read, is empty, or holds values that are not numbers.
    """
    _require_file(path, "sound")
    samples, rate_hz = _decode_audio(path)  # [n, channels]
    if samples.size == 0:
        raise MediaError(
            f"sound {path}", expected="at least one sample", got="none", remedy=AUDIO_REMEDY
        )
    broken = int(np.count_nonzero(~np.isfinite(samples)))
    if broken:
        raise MediaError(
            f"sound {path}",
            expected="finite samples",
            got=f"{broken} that are NaN or infinite",
            remedy="export the file again",
        )
    mono = samples.mean(axis=1, dtype=np.float32)
    return np.clip(soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ), -1.0, 1.0).astype(np.float32)


def _decode_audio(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples ``[n, channels]`` float32 and their rate: by libsndfile, or else by FFmpeg."""
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        return samples, int(rate_hz)
    except soundfile.LibsndfileError:
        pass
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise MediaError(
                    f"sound {path}",
                    expected="a sound track",
                    got="a file without one",
                    remedy=AUDIO_REMEDY,
                )
            rate_hz = container.streams.audio[0].rate
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate_hz)
            parts = [
                part.to_ndarray()[0]
                for frame in [*container.decode(audio=0), None]
                for part in resampler.resample(frame)
            ]
    except (FFmpegError, OSError) as error:
        raise MediaError(
            f"sound {path}",
            expected="a readable sound file",
            got=_reason(error),
            remedy=AUDIO_REMEDY,
        ) from error
    whole = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return whole.astype(np.float32)[:, None], int(rate_hz)


def read_video(path: Path) -> Iterator[VideoFrame]:
    """The pictures in `path` with their stamps, the first of which is 0.

    Raises MediaError at once if the file cannot be read or has no video track, and at the end if
    that track held no picture.
    """
    _require_file(path, "video")
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise _bad_video(path, _reason(error)) from error
    if not container.streams.video:
        container.close()
        raise _bad_video(path, "a file without a video track")
    return _frames(container, path)


def video_duration_s(path: Path) -> float:
    """How long the video in `path` says it lasts, in seconds; 0 where it does not say."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return (container.duration or 0) / av.time_base


def _frames(container: av.container.InputContainer, path: Path) -> Iterator[VideoFrame]:
    first_s: float | None = None
    with container:
        try:
            for frame in container.decode(video=0):
                stamp_s = frame.time or 0.0
                first_s = stamp_s if first_s is None else first_s
                pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                yield VideoFrame(pixels, round((stamp_s - first_s) * 1e9))
        except FFmpegError as error:
            raise _bad_video(path, _reason(error)) from error
    if first_s is None:
        raise _bad_video(path, "a video track without a picture")


def _require_file(path: Path, kind: str) -> None:
    if not path.is_file():
        raise MediaError(
            kind, expected="a file", got=f"none at {path}", remedy="check the path"
        )


def _bad_video(path: Path, got: str) -> MediaError:
    return MediaError(
        f"video {path}", expected="a readable video", got=got, remedy=VIDEO_REMEDY
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
