"""Pixels to motion and motion to pixels, behind one protocol for every motion space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceObservation, FaceTracker
from avatar_forcing_ros.perception.user_motion import UserMotion, UserMotionEstimator
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.backdrop import Backdrop
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer


class MotionCodec(Protocol):
    """What a motion space must be able to do; D is its width."""

    portrait: Portrait
    """The face that is drawn."""
    image_size_px: int
    """Side S of the images."""
    reference: NDArray[np.float32]
    """The portrait's own motion ``[D]``."""
    has_alpha: bool
    """Whether images are RGBA, with nothing behind the head."""
    fit: dict[str, float]
    """How well each coefficient can be read off motion (Pearson's r); empty: exactly."""

    @property
    def drawable_sizes_px(self) -> list[int]:
        """Sides at which images can be computed; the largest is `image_size_px`."""

    def draw_at(self, size_px: int) -> None:
        """Compute images at one of these and enlarge them, to save time; else ValueError."""

    def prepare_portrait(self, portrait: Portrait) -> None:
        """Make ready to draw this face."""

    def warm_up(self) -> None:
        """Do what is slow the first time that an image of the user comes."""

    def load_tracker(self) -> None:
        """Load the face tracker now, not at the user's first frame; does nothing without one."""

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """The motion of the person in the next frame of their video."""

    def coefficients(self, motion: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rig coefficients ``[T, K]`` of motion ``[T, D]``, within their ranges."""

    def changed(
        self, motion: NDArray[np.float32], change: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Motion ``[T, D]`` whose rig coefficients are by `change` ``[T, K]`` others."""

    def decode(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Images ``[T, S, S, 3]`` RGB of motion ``[T, D]``; with `has_alpha` ``[T, S, S, 4]``."""

    def drawn(self, motion: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
        """The same images one by one, the first as soon as it can be shown."""

    def reset(self) -> None:
        """Forget the user."""

    def close(self) -> None:
        """Give back what a reset would take up again."""


class TrackingCodec:
    """Makes a face tracker when the first frame comes, and a new one for every user."""

    def __init__(self, make_tracker: Callable[[], FaceTracker] | None) -> None:
        """`make_tracker` None: there is no user's video."""
        self._make_tracker = make_tracker
        self._tracker: FaceTracker | None = None

    def load_tracker(self) -> None:
        """Make the tracker now, if there is one."""
        if self._make_tracker and not self._tracker:
            self._tracker = self._make_tracker()

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """The face in `frame`. Raises ValueError if made without a tracker."""
        self.load_tracker()
        if self._tracker is None:
            raise ValueError("this codec was made without a face tracker")
        return self._tracker.track(frame)

    def close(self) -> None:
        """End the tracker, which would look first where the last user's face was."""
        if self._tracker:
            self._tracker.close()
        self._tracker = None


class RigCodec(TrackingCodec):
    """Motion as rig coefficients: face tracking in, warped portrait out."""

    def __init__(
        self,
        portrait: Portrait,
        make_tracker: Callable[[], FaceTracker] | None = None,
        backdrop: Backdrop | None = None,
    ) -> None:
        """`make_tracker` makes a face tracker for each user; None: there is no user's video.

        `backdrop` is behind this face and others; None: the portrait's own background.
        """
        super().__init__(make_tracker)
        self._backdrop = backdrop
        self.has_alpha = backdrop is not None and backdrop.image is None
        self._estimator = UserMotionEstimator()
        self.reference = coefficients.neutral()  # every coefficient is measured from it
        self.fit: dict[str, float] = {}  # coefficients are what this motion is
        self.prepare_portrait(portrait)

    @property
    def drawable_sizes_px(self) -> list[int]:
        """The portrait's own: a warp of fewer pixels would save little."""
        return [self.image_size_px]

    def draw_at(self, size_px: int) -> None:
        """Raises ValueError for any other size."""
        if size_px != self.image_size_px:
            raise ValueError(f"expected {self.image_size_px} pixels, got {size_px}")

    def prepare_portrait(self, portrait: Portrait) -> None:
        """Compute the warp fields of `portrait` (a second or so)."""
        self.renderer = WarpRenderer(portrait, self._backdrop)
        self.portrait = portrait
        self.image_size_px = portrait.size_px

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """Track the face in `frame`. Raises ValueError if made without a tracker."""
        return self._estimator.update(self.track(frame), frame.stamp_ns)

    def coefficients(self, motion: NDArray[np.float32]) -> NDArray[np.float32]:
        """`motion` itself, within the rig's ranges."""
        return coefficients.clip(motion)

    def changed(
        self, motion: NDArray[np.float32], change: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """`motion` ``[T, K]``, within the rig's ranges, plus `change` ``[T, K]``."""
        return coefficients.clip(motion) + change

    def decode(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Draw coefficients ``[T, K]``: ``[T, S, S, 3]`` uint8 RGB, or ``[T, S, S, 4]``."""
        return np.stack([self.renderer.render(values) for values in self.coefficients(motion)])

    def drawn(self, motion: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
        """The same, each drawn when it is asked for."""
        for values in self.coefficients(motion):
            yield self.renderer.render(values)

    def warm_up(self) -> None:
        """Nothing is slower the first time."""

    def reset(self) -> None:
        """Begin with a new user."""
        self.close()
        self._estimator.reset()
