"""A whole video of a user -> motion at 25 frames a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import (
    FaceMeshTracker,
    FaceObservation,
    FaceTracker,
)
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.rig.coefficients import COUNT
from avatar_forcing_ros.timebase import frame_stamp_ns

STALE_NS = 500_000_000  # a picture older than this says nothing of the user any more


def at_frame_rate(
    frames: Iterable[VideoFrame], start_ns: int | None = None
) -> Iterator[VideoFrame | None]:
    """One picture for each 25th of a second from `start_ns` on: the newest one not after it.

    `start_ns` is the first picture's stamp where left out. None stands where no picture came, or
    only one that is older than half a second. Raises MediaError if stamps go back.
    """
    newest: VideoFrame | None = None
    index = 0
    for frame in frames:
        start_ns = frame.stamp_ns if start_ns is None else start_ns
        if newest is not None and frame.stamp_ns < newest.stamp_ns:
            raise MediaError(
                "video", expected="stamps in rising order",
                got=f"{frame.stamp_ns} ns after {newest.stamp_ns} ns",
                remedy="sort the frames, or restart tracking where the clock was set back",
            )  # fmt: skip
        while frame_stamp_ns(index, start_ns) < frame.stamp_ns:
            yield _fresh(newest, frame_stamp_ns(index, start_ns))
            index += 1
        newest = frame
    if newest is not None and start_ns is not None:
        while frame_stamp_ns(index, start_ns) <= newest.stamp_ns:
            yield _fresh(newest, frame_stamp_ns(index, start_ns))
            index += 1


def track_frames(
    frames: Iterable[VideoFrame],
    tracker: FaceTracker | None = None,
    *,
    start_ns: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Motion of the user in `frames`: coefficients ``[T, K]`` float32 and face_visible ``[T]``.

    At 25 Hz from `start_ns` (the first picture) to the last picture, see at_frame_rate; row t
    depends on pictures up to its own time only. Makes a FaceMeshTracker where `tracker` is left
    out. Raises MediaError for unusable pictures or stamps.
    """
    if tracker is None:
        with closing(FaceMeshTracker()) as own:
            return track_frames(frames, own, start_ns=start_ns)
    estimator = UserMotionEstimator()
    values, visible = [], []
    seen: tuple[VideoFrame, FaceObservation | None] | None = None
    for index, frame in enumerate(at_frame_rate(frames, start_ns)):
        if frame is not None and (seen is None or frame is not seen[0]):
            seen = frame, tracker.track(frame)  # each picture once
        observation = seen[1] if frame is not None and seen is not None else None
        motion = estimator.update(observation, frame_stamp_ns(index))
        values.append(motion.values)
        visible.append(motion.face_visible)
    return np.array(values, np.float32).reshape(-1, COUNT), np.array(visible, np.bool_)


def _fresh(frame: VideoFrame | None, now_ns: int) -> VideoFrame | None:
    return None if frame is None or now_ns - frame.stamp_ns > STALE_NS else frame
