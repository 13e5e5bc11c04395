"""Audio and video frames from files, in the units that the session takes."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import soundfile
import soxr
from av.error import FFmpegError
from numpy.typing import NDArray

from avatar_forcing_ros.downmix import Downmix
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.sync.image_track import ImageTrack
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ, frame_stamp_ns

MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
MAX_SAMPLES_PER_S = 8 * 48_000  # of all channels, in a file from an unknown source
CUT_OFF_S = 0.5  # a length that a file states may be off by some frames
STAMP_TOLERANCE_S = 0.02  # audio is not moved for less: rounded stamps are no gaps
# a play list would have FFmpeg open what it names
SELF_CONTAINED_FORMATS = "aac,flac,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,ogg,wav"
AUDIO_REMEDY = "give a WAV, FLAC, OGG, MP3 or any file with an audio track that FFmpeg reads"
VIDEO_REMEDY = "give an MP4, WebM or any file with a video track that FFmpeg reads"

OnDamage = Callable[[MediaError], None]
"""Called for each part of a file that is lost; reading goes on with the next one."""


def refuse(damage: MediaError) -> None:
    """Raises `damage`."""
    raise damage


def read_audio(path: Path, on_damage: OnDamage = refuse) -> NDArray[np.float32]:
    """The audio in `path` as 16 kHz mono ``[n]`` float32, whatever its rate and channels.

    Raises MediaError if it cannot be read, is empty, or holds values that are not numbers, and by
    default for a file of which a part is lost.
    """
    _check_file(path, "audio")
    samples, rate_hz = _decode_audio(path, f"audio {path}", on_damage=on_damage)  # [n, channels]
    return to_mono_16k(samples, rate_hz, f"audio {path}")


def decode_audio(data: bytes, max_s: float) -> NDArray[np.float32]:
    """The audio in the bytes of a file, as `read_audio` does; no more than `max_s` is decoded.

    Raises MediaError as `read_audio` does, and for audio that is longer. Only formats that hold
    their audio themselves are read, none that names other files.
    """
    samples, rate_hz = _decode_audio(io.BytesIO(data), "audio", max_s)
    return to_mono_16k(samples, rate_hz, "audio")


def to_mono_16k(samples: NDArray[np.float32], rate_hz: int, what: str) -> NDArray[np.float32]:
    """`samples` ``[n, channels]`` as 16 kHz mono ``[n]``.

    Raises MediaError where there are none, some that are not finite, or too few or many a second.
    """
    _check_samples(what, samples)
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise MediaError(
            what,
            expected=f"a sampling rate of {MIN_RATE_HZ} … {MAX_RATE_HZ} Hz",
            got=f"{rate_hz} Hz",
            remedy="export the file again",
        )
    return _resampled(Downmix(rate_hz, samples.shape[1])(samples), rate_hz)


def _resampled(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    at_16k = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    return np.clip(at_16k, -1.0, 1.0).astype(np.float32)


def _check_samples(what: str, samples: NDArray[np.float32]) -> None:
    if samples.size == 0:
        raise MediaError(what, expected="at least one sample", got="none", remedy=AUDIO_REMEDY)
    broken = int(np.count_nonzero(~np.isfinite(samples)))
    if broken:
        raise MediaError(
            what,
            expected="finite samples",
            got=f"{broken} that are NaN or infinite",
            remedy="export the file again",
        )


def _decode_audio(
    source: Path | io.BytesIO, what: str, max_s: float = math.inf, on_damage: OnDamage = refuse
) -> tuple[NDArray[np.float32], int]:
    """Samples ``[n, channels]`` float32 and their rate: by libsndfile, or else by FFmpeg."""
    try:
        with soundfile.SoundFile(source) as file:
            if max_s < math.inf:
                _check_duration(what, file.frames / file.samplerate, max_s)
                _check_sample_rate(what, file.samplerate * file.channels)
            return file.read(dtype="float32", always_2d=True), int(file.samplerate)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: headerless, by its ending
        pass
    options = {}
    if isinstance(source, io.BytesIO):
        source.seek(0)
        options = {"format_whitelist": SELF_CONTAINED_FORMATS}
    file_or_path = str(source) if isinstance(source, Path) else source
    try:
        with _opened(file_or_path, options) as container:
            stream = _audio_stream(container, what)
            rate_hz = stream.rate
            if max_s < math.inf:
                _check_sample_rate(what, rate_hz * stream.channels)
            resampler = av.AudioResampler(format="fltp", rate=rate_hz)  # any format to float
            parts: list[NDArray[np.float32]] = []
            count = 0
            decoded = _decoded(container, stream, lambda error: on_damage(_bad_audio(what, error)))
            for frame in itertools.chain(decoded, (None,)):
                for part in resampler.resample(frame):
                    parts.append(np.asarray(part.to_ndarray().T, np.float32))  # [n, channels]
                    count += len(parts[-1])
                _check_duration(what, count / rate_hz, max_s)
    except (FFmpegError, OSError) as error:
        raise _bad_audio(what, error) from error
    whole = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
    return whole.astype(np.float32), int(rate_hz)


def _opened(
    file_or_path: str | io.BytesIO, options: dict[str, str] | None = None
) -> av.container.InputContainer:
    """A file whose tags may be in whatever encoding: they are not read."""
    return av.open(file_or_path, "r", options=options or {}, metadata_errors="replace")


def _audio_stream(container: av.container.InputContainer, what: str) -> av.AudioStream:
    """The first audio track; MediaError where there is none, or none that can be decoded."""
    if not container.streams.audio:
        raise _no_audio_track(what)
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise MediaError(
            what, expected="a readable audio file", got="an unknown codec", remedy=AUDIO_REMEDY
        )
    return stream


def _require_video(container: av.container.InputContainer, path: Path) -> None:
    """MediaError where there is no video track, or none that can be decoded."""
    if not container.streams.video:
        raise _bad_video(path, "a file without a video track")
    if container.streams.video[0].codec_context is None:
        raise _bad_video(path, "a video track of an unknown codec")


def _decoded(
    container: av.container.InputContainer,
    stream: av.VideoStream | av.AudioStream,
    on_error: Callable[[Exception], None],
) -> Iterator[Any]:
    """The frames of `stream`; packets that cannot be decoded are left out, `on_error` told."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError) as error:  # nothing comes after that
            on_error(error)
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except FFmpegError as error:
            on_error(error)


def _bad_audio(what: str, error: Exception) -> MediaError:
    got = _reason(error)
    return MediaError(what, expected="a readable audio file", got=got, remedy=AUDIO_REMEDY)


def _check_duration(what: str, duration_s: float, max_s: float) -> None:
    if duration_s > max_s:
        raise MediaError(
            what,
            expected=f"at most {max_s:g} s",
            got="more",
            remedy="cut it into shorter pieces",
        )


def _check_sample_rate(what: str, samples_per_s: int) -> None:
    """A small file can hold very much silence of very many channels."""
    if samples_per_s > MAX_SAMPLES_PER_S:
        raise MediaError(
            what,
            expected="at most 8 channels at 48 kHz, or 2 at 192 kHz",
            got=f"{samples_per_s} samples a second",
            remedy="export it as mono or stereo at 48 kHz",
        )


def read_video(path: Path, on_damage: OnDamage = refuse) -> Iterator[VideoFrame]:
    """The frames in `path` with their stamps, the first of which is 0.

    Raises MediaError at once if the file cannot be read or has no video track, at the end if that
    track held no frame, and by default where a part of it is lost.
    """
    container = _open_video(path)
    return _frames(container, path, on_damage)


def _open_video(path: Path) -> av.container.InputContainer:
    _check_file(path, "video")
    try:
        container = _opened(str(path))
    except (FFmpegError, OSError) as error:
        raise _bad_video(path, _reason(error)) from error
    try:
        _require_video(container, path)
    except MediaError:
        container.close()
        raise
    return container


def at_frame_rate(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Any frame rate to 25 fps, as `ImageTrack` does it; where it gives none the last stays."""
    track, period = ImageTrack(), 0
    shown: VideoFrame | None = None
    for frame in frames:
        track.push(frame)
        while track.reaches(period):
            new = track.take(1)
            shown = new[0] if new else shown or frame
            yield VideoFrame(shown.pixels, frame_stamp_ns(period))
            period += 1


def read_video_audio(path: Path, channels: int = 1) -> NDArray[np.float32]:
    """The audio in the video `path` ``[n, C]`` at 16 kHz, from its first frame on.

    Samples are put where their time stamps say: what lies before the first frame is left out, what
    is missing is silence. Raises MediaError as `read_audio` and `read_video` do, and for fewer
    than `channels`.
    """
    first_s = _first_frame_s(path)
    parts: list[NDArray[np.float32]] = []
    at = 0  # samples so far, from the first frame on
    try:
        with _opened(str(path)) as container:
            stream = _audio_stream(container, f"audio {path}")
            rate_hz = stream.rate
            if stream.channels < channels:
                raise MediaError(
                    f"audio {path}",
                    expected=f"{channels} channels",
                    got=str(stream.channels),
                    remedy="give one with a channel for each person",
                )
            resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate_hz)
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    samples = part.to_ndarray().T.astype(np.float32)  # [n, channels]
                    start = at if frame.time is None else round((frame.time - first_s) * rate_hz)
                    if abs(start - at) > STAMP_TOLERANCE_S * rate_hz or at == 0:
                        samples = _moved(samples, start - at)
                    parts.append(samples)
                    at += len(samples)
    except (FFmpegError, OSError) as error:
        raise _bad_audio(f"audio {path}", error) from error
    audio = np.concatenate(parts) if parts else np.zeros((0, channels), np.float32)
    _check_samples(f"audio {path}", audio)
    return _resampled(audio, rate_hz)


def _moved(samples: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """`samples` ``[n, channels]`` with `by` of silence before them, or with so much cut off."""
    return np.pad(samples, ((by, 0), (0, 0))) if by > 0 else samples[-by:]


def _first_frame_s(path: Path) -> float:
    """The time stamp of the first frame in `path`, on the file's own clock."""
    _check_file(path, "video")
    try:
        with _opened(str(path)) as container:
            _require_video(container, path)
            for frame in container.decode(video=0):
                return frame.time or 0.0
    except (FFmpegError, OSError) as error:
        raise _bad_video(path, _reason(error)) from error
    raise _bad_video(path, "a video track without a frame")


class VideoLength(NamedTuple):
    """How long a video is."""

    present_s: float
    """To the end of what the file holds."""
    stated_s: float | None
    """As the file says; None where it does not."""

    @property
    def cut_off(self) -> bool:
        """Whether a part that the file speaks of is not there."""
        return self.stated_s is not None and self.stated_s - self.present_s > CUT_OFF_S


def video_length(path: Path) -> VideoLength:
    """The length of the video in `path`, found without decoding it.

    Raises MediaError as `read_video` does at once.
    """
    container = _open_video(path)
    with container:
        stream = container.streams.video[0]
        stated_s = None
        if stream.duration and stream.time_base:
            stated_s = float(stream.duration * stream.time_base)
        elif container.duration:
            stated_s = container.duration / av.time_base
        period_s = 1.0 / float(stream.average_rate or FRAME_RATE_HZ)
        begin_s, end_s, count = math.inf, -math.inf, 0
        with contextlib.suppress(FFmpegError, OSError):  # what comes after that is lost
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                at_s = count * period_s
                if packet.pts is not None:
                    at_s = float(packet.pts * packet.time_base)
                lasts_s = float((packet.duration or 0) * packet.time_base) or period_s
                begin_s, end_s, count = min(begin_s, at_s), max(end_s, at_s + lasts_s), count + 1
    return VideoLength(max(0.0, end_s - begin_s), stated_s)


def _frames(
    container: av.container.InputContainer, path: Path, on_damage: OnDamage
) -> Iterator[VideoFrame]:
    first_s: float | None = None
    with container:
        stream = container.streams.video[0]
        rate_hz = float(stream.average_rate or FRAME_RATE_HZ)
        decoded = _decoded(container, stream, lambda e: on_damage(_bad_video(path, _reason(e))))
        for count, frame in enumerate(decoded):
            stamp_s = count / rate_hz if frame.time is None else frame.time
            first_s = stamp_s if first_s is None else first_s
            pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            upright = _upright(pixels, frame.rotation)
            yield VideoFrame(upright, round((stamp_s - first_s) * 1e9))
    if first_s is None:
        raise _bad_video(path, "a video track without a frame")


def _upright(pixels: NDArray[np.uint8], rotation_deg: int) -> NDArray[np.uint8]:
    """`pixels` turned anticlockwise by what the file says, in quarters: how phones film."""
    return np.ascontiguousarray(np.rot90(pixels, round(rotation_deg / 90)))


def _check_file(path: Path, kind: str) -> None:
    if not path.is_file():
        raise MediaError(kind, expected="a file", got=f"none at {path}", remedy="check the path")


def _no_audio_track(what: str) -> MediaError:
    return MediaError(
        what, expected="an audio track", got="a file without one", remedy=AUDIO_REMEDY
    )


def _bad_video(path: Path, got: str) -> MediaError:
    return MediaError(f"video {path}", expected="a readable video", got=got, remedy=VIDEO_REMEDY)


def _reason(error: Exception) -> str:
    said = getattr(error, "strerror", None) or type(error).__name__
    return "damaged content" if said.startswith("Error number") else said  # FFmpeg has no words
