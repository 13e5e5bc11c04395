"""Pixels to motion and motion to pixels, behind one protocol for every motion space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceTracker
from avatar_forcing_ros.perception.user_motion import UserMotion, UserMotionEstimator
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer


class MotionCodec(Protocol):
    """What a motion space must be able to do."""

    def prepare_portrait(self, portrait: Portrait) -> None:
        """Make ready to draw this face."""

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """The motion of the person in the next frame of their video."""

    def decode(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Pictures ``[T, S, S, 3]`` RGB of motion ``[T, D]``."""

    def reset(self) -> None:
        """Forget the user."""

    def close(self) -> None:
        """Give back what a reset would take up again."""


class RigCodec:
    """Motion as rig coefficients: face tracking in, warped portrait out."""

    def __init__(
        self, portrait: Portrait, make_tracker: Callable[[], FaceTracker] | None = None
    ) -> None:
        """`make_tracker` makes a face tracker for each user; None where no user is watched."""
        self._make_tracker = make_tracker
        self._tracker: FaceTracker | None = None
        self._estimator = UserMotionEstimator()
        self.prepare_portrait(portrait)

    def prepare_portrait(self, portrait: Portrait) -> None:
        """Compute the warp fields of `portrait` (a second or so)."""
        self.renderer = WarpRenderer(portrait)

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """Track the face in `frame`. Raises ValueError if made without a tracker."""
        if self._make_tracker is None:
            raise ValueError("this codec was made without a face tracker")
        self._tracker = self._tracker or self._make_tracker()
        return self._estimator.update(self._tracker.track(frame), frame.stamp_ns)

    def decode(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Draw coefficients ``[T, K]``: ``[T, S, S, 3]`` uint8 RGB."""
        return np.stack([self.renderer.render(values) for values in motion])

    def reset(self) -> None:
        """Meet the next user afresh: a tracker looks first where the last face was."""
        self.close()
        self._estimator.reset()

    def close(self) -> None:
        """End the tracker; the next picture would get a new one."""
        if self._tracker:
            self._tracker.close()
        self._tracker = None
