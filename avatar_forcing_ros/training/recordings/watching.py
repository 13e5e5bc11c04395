"""One person's video to what was seen of them, frame by frame at 25 fps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.media_files.reading import (
    at_frame_rate,
    read_video,
    read_video_audio,
)
from avatar_forcing_ros.perception.face_crop import Square, cut, face_square
from avatar_forcing_ros.perception.face_tracker import FaceObservation, FaceTracker
from avatar_forcing_ros.perception.user_motion import usable
from avatar_forcing_ros.training.recordings.layouts import Source

TrackerMaker = Callable[[], FaceTracker]

STILL_SIDE_PX = 64  # side at which a face is compared with itself
# A picture that stands still differs a little by its coding: in nearly all of its parts by no
# more than so many grey levels. The stillest face moves some part in a hundred by twice as much.
STILL_PERCENTILE, STILL_LEVELS = 99, 2


@dataclass(frozen=True)
class Watched:
    """T frames of one person: the face in each, and how long the picture has stood still."""

    faces: list[FaceObservation | None]
    still_frames: NDArray[np.int64]  # [T] frames since the face's part of the picture changed


def pictures(source: Source) -> Iterator[VideoFrame]:
    """The pictures of `source` at 25 fps, of a shared video the person's half."""
    for frame in at_frame_rate(read_video(source.path)):
        if source.half is None:
            yield frame
        else:
            middle = frame.pixels.shape[1] // 2
            side = slice(middle) if source.half == 0 else slice(middle, None)
            yield VideoFrame(np.ascontiguousarray(frame.pixels[:, side]), frame.stamp_ns)


def watch(source: Source, make_tracker: TrackerMaker) -> Watched:
    """Track the face in every picture of `source`; raises as `read_video` does."""
    faces: list[FaceObservation | None] = []
    still_frames: list[int] = []
    compare = _Stillness()
    with closing(make_tracker()) as tracker:
        for frame in pictures(source):
            face = tracker.track(frame)
            if face is not None and not usable(face, frame.pixels.shape):
                face = None
            faces.append(face)
            still_frames.append(compare(frame, face))
    return Watched(faces, np.array(still_frames))


def sounds(a: Source, b: Source) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The sound of both people ``[n]`` and ``[m]`` at 16 kHz, from their first pictures on.

    Raises MediaError, also for a shared video without two channels.
    """
    if a.half is None:
        first, second = (read_video_audio(source.path).mean(axis=1) for source in (a, b))
        return first, second
    both = read_video_audio(a.path, channels=2)
    return both[:, 0], both[:, 1]


class _Stillness:
    """Counts for how many frames nothing has moved where the face is."""

    def __init__(self) -> None:
        self._square: Square | None = None
        self._before: NDArray[np.int16] | None = None
        self._frames = 0

    def __call__(self, frame: VideoFrame, face: FaceObservation | None) -> int:
        if self._square and self._before is not None:
            now = _grey(frame, self._square)
            if np.percentile(np.abs(now - self._before), STILL_PERCENTILE) <= STILL_LEVELS:
                self._frames += 1
                return self._frames
        # compared with where the picture began to stand: slow motion adds up and is seen
        self._square = None if face is None else face_square(face.landmarks_px, padding=0.0)
        self._before = None if self._square is None else _grey(frame, self._square)
        self._frames = 0
        return 0


def _grey(frame: VideoFrame, square: Square) -> NDArray[np.int16]:
    part = cut(frame.pixels, square, STILL_SIDE_PX)
    return np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.int16)
