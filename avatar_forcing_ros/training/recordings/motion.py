"""One person's video to motion: tracked faces, then rig coefficients or latents.

A live tracker learns the resting face while the conversation runs, so its first seconds are read
against a guess. A recording can be looked at twice: faces spread over all of it teach the live
estimator first, and every stretch of visible face is then read by a copy of that estimator. What
it gives is what a live one gives that has known the person for a while.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.media_files.reading import (
    at_frame_rate,
    read_video,
    read_video_audio,
)
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder, from_pixels
from avatar_forcing_ros.model.released import load_released
from avatar_forcing_ros.perception.face_crop import Square, cut, face_square
from avatar_forcing_ros.perception.face_tracker import FaceObservation, FaceTracker
from avatar_forcing_ros.perception.neutral_face import LEARN_FRAMES
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator, usable
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.timebase import frame_stamp_ns
from avatar_forcing_ros.training.recordings.layouts import Source

Faces = Sequence[FaceObservation | None]
Latents = NDArray[np.float32]  # [n, D]
Span = tuple[int, int]  # frames start … stop
TrackerFactory = Callable[[], FaceTracker]

STILL_SIDE_PX = 64  # side at which a face is compared with itself
# A frozen video differs a little by its coding: in nearly all of its parts by no more than so many
# grey levels. The stillest face moves some part in a hundred by twice as much.
STILL_PERCENTILE, STILL_LEVELS = 99, 2
WARM_UP_FRAMES = 10  # of the first face, before a stretch begins: smoothing starts where it is
ENCODE_BATCH = 8
_UNITS = np.maximum(-coefficients.LOW, coefficients.HIGH)  # [K]


@dataclass(frozen=True)
class TrackedVideo:
    """T frames of one person: the face in each, and for how long the video has been frozen."""

    faces: list[FaceObservation | None]
    still_frames: NDArray[np.int64]  # [T] frames since the image changed where the face is


def video_frames(source: Source) -> Iterator[VideoFrame]:
    """The frames of `source` at 25 fps; of a shared video the person's half."""
    for frame in at_frame_rate(read_video(source.path)):
        if source.half is None:
            yield frame
        else:
            middle = frame.pixels.shape[1] // 2
            side = slice(middle) if source.half == 0 else slice(middle, None)
            yield VideoFrame(np.ascontiguousarray(frame.pixels[:, side]), frame.stamp_ns)


def track_video(source: Source, make_tracker: TrackerFactory) -> TrackedVideo:
    """Track the face in every frame of `source`; raises as `read_video` does."""
    faces: list[FaceObservation | None] = []
    still_frames: list[int] = []
    compare = _FreezeDetector()
    with closing(make_tracker()) as tracker:
        for frame in video_frames(source):
            face = tracker.track(frame)
            if face is not None and not usable(face, frame.pixels.shape):
                face = None
            faces.append(face)
            still_frames.append(compare(frame, face))
    return TrackedVideo(faces, np.array(still_frames))


def read_audio(a: Source, b: Source) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The audio of both people ``[n]`` and ``[m]`` at 16 kHz, from their first frames on.

    Raises MediaError, also for a shared video without two channels.
    """
    if a.half is None:
        first, second = (read_video_audio(source.path).mean(axis=1) for source in (a, b))
        return first, second
    both = read_video_audio(a.path, channels=2)
    return both[:, 0], both[:, 1]


class _FreezeDetector:
    """Counts for how many frames nothing has moved where the face is."""

    def __init__(self) -> None:
        self._square: Square | None = None
        self._first: NDArray[np.int16] | None = None
        self._frames = 0

    def __call__(self, frame: VideoFrame, face: FaceObservation | None) -> int:
        if self._square and self._first is not None:
            now = _grey(frame, self._square)
            if np.percentile(np.abs(now - self._first), STILL_PERCENTILE) <= STILL_LEVELS:
                self._frames += 1
                return self._frames
        # compared with where the image began to stand still: slow motion adds up and is seen
        self._square = None if face is None else face_square(face.landmarks_px, padding=0.0)
        self._first = None if self._square is None else _grey(frame, self._square)
        self._frames = 0
        return 0


def _grey(frame: VideoFrame, square: Square) -> NDArray[np.int16]:
    part = cut(frame.pixels, square, STILL_SIDE_PX)
    return np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.int16)


def rig_motion(faces: Faces, stretches: Sequence[Span], seed: int = 0) -> NDArray[np.float32]:
    """Coefficients ``[T, K]`` in the frames of `stretches`; zeros elsewhere.

    Gaps in a stretch ``(start, stop)`` are held.
    """
    trained = trained_estimator(faces, seed)
    values = np.zeros((len(faces), coefficients.COUNT), np.float32)
    for start, stop in stretches:
        first = next((face for face in faces[start:stop] if face is not None), None)
        if first is None:
            continue
        estimator = copy.deepcopy(trained)
        for k, face in enumerate([first] * WARM_UP_FRAMES + list(faces[start:stop])):
            motion = estimator.update(face, frame_stamp_ns(k))
            values[max(start, start + k - WARM_UP_FRAMES)] = motion.values
    return values


def trained_estimator(faces: Faces, seed: int = 0) -> UserMotionEstimator:
    """An estimator that has seen as many of `faces` as it learns from, spread over all of them.

    In no order, as it takes less of what it is shown later, and up to the media time 0.
    """
    estimator = UserMotionEstimator()
    visible = [face for face in faces if face is not None]
    spread = np.linspace(0, len(visible) - 1, min(len(visible), LEARN_FRAMES)).round().astype(int)
    for k, index in enumerate(np.random.default_rng(seed).permutation(spread)):
        estimator.update(visible[index], frame_stamp_ns(k - len(spread)))
    return estimator


def most_neutral(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> int:
    """The frame of those `seen` ``[T]`` whose `values` ``[T, K]`` are the nearest to rest."""
    away = np.abs(values / _UNITS).sum(axis=1)
    return int(np.where(seen, away, np.inf).argmin())


def load_autoencoder(path: Path, motion_dim: int) -> MotionAutoencoder:
    """The motion autoencoder in `path`, on CUDA where there is one.

    Raises CheckpointError for weights without one, or with latents of another width.
    """
    checkpoint = load_released(path) if path.is_dir() else load_checkpoint(path)
    net, width = checkpoint.motion_autoencoder, checkpoint.generator.config.motion_dim
    if net is None or width != motion_dim:
        raise CheckpointError(
            f"weights {path}",
            expected=f"a motion autoencoder with latents of {motion_dim} values",
            got="none" if net is None else f"one with {width}",
            remedy="give the paper preset's weights (see 'avatar-forcing weights')",
        )
    return net.to("cuda" if torch.cuda.is_available() else "cpu")


def read_latents(
    net: MotionAutoencoder,
    source: Source,
    faces: Faces,
    windows: Sequence[Span],
    neutral_frame: int,
) -> tuple[list[Latents], Latents]:
    """The latents ``[n, D]`` of each of `windows`, which are in order, and the reference ``[D]``.

    As a stream's codec reads them of a face that stays in its square; there the square is
    averaged over the first faces, while of a window all faces are known. The reference is what a
    portrait's latent is in a stream: that of the face at rest, in `neutral_frame`, in a square of
    its own. A frame without a face holds the latent before it.
    """
    squares = [_mean_square(faces, window) for window in windows]
    window_of = {frame: k for k, window in enumerate(windows) for frame in range(*window)}
    size_px = net.config.image_size_px
    crops: list[NDArray[np.uint8]] = []
    latents: list[Latents] = []
    reference: Latents | None = None
    for k, frame in enumerate(video_frames(source)):
        face = faces[k] if k == neutral_frame else None
        if face is not None:
            crop = cut(frame.pixels, face_square(face.landmarks_px), size_px)
            reference = _encode(net, [crop])[0]
        if k in window_of:
            crops.append(cut(frame.pixels, squares[window_of[k]], size_px))
        if len(crops) == ENCODE_BATCH:
            latents.append(_encode(net, crops))
            crops.clear()
    if crops:
        latents.append(_encode(net, crops))
    assert reference is not None  # `most_neutral` chooses among seen frames
    ends = np.cumsum([stop - start for start, stop in windows])[:-1]
    parts = np.split(np.concatenate(latents), ends)
    return [_held(p, faces, w) for p, w in zip(parts, windows, strict=True)], reference


@torch.inference_mode()
def _encode(net: MotionAutoencoder, crops: Sequence[NDArray[np.uint8]]) -> Latents:
    """Latents ``[n, D]`` of face squares, each ``[S, S, 3]``."""
    like = net.dec.direction.basis
    images = from_pixels(torch.from_numpy(np.stack(crops)).to(like.device)).to(like.dtype)
    return np.asarray(net.encode(images)[1].float().cpu().numpy(), np.float32)


def _mean_square(faces: Faces, window: Span) -> Square:
    """The mean of the face squares in `window`, as `FaceCrop` takes it of the first faces."""
    visible = [face for face in faces[slice(*window)] if face is not None]
    return Square(*np.mean([face_square(f.landmarks_px) for f in visible], axis=0).tolist())


def _held(latents: Latents, faces: Faces, window: Span) -> Latents:
    """`latents` ``[n, D]``, those of frames without a face replaced by the last one before."""
    start, stop = window
    seen = [k for k in range(stop - start) if faces[start + k] is not None]
    last = np.maximum(np.searchsorted(seen, np.arange(stop - start), side="right") - 1, 0)
    return latents[np.array(seen)[last]]
