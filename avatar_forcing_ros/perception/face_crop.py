"""Square crops around a face, as the latent motion space was trained to see them.

The box around the face is padded by its own size and made square. For a person in a video it is
averaged over the first detections and then locked: re-centring it in every frame would remove the
very head motion that the avatar is to react to.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.portrait import Portrait

PADDING = 1.0  # of the face box's longer side, half of it on each side
DETECTIONS_TO_LOCK = 10
DETECTIONS_TO_MOVE = 25  # so long outside, and the person has moved rather than leaned
FREE_SHARE = 0.25  # of the square's side, that the face may be off its middle

Pixels = NDArray[np.uint8]  # [H, W, 3] RGB
Landmarks = NDArray[np.float32]  # [478, 3] px


class Square(NamedTuple):
    """Where a crop is, in pixels of its image; it may reach beyond the border."""

    centre_x: float
    centre_y: float
    side: float


def face_square(landmarks: Landmarks, padding: float = PADDING) -> Square:
    """The square around the face's box, padded by `padding` times its longer side."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    x, y = (0.5 * (low + high)).tolist()
    return Square(x, y, max(8.0, float((high - low).max()) * (1.0 + padding)))


def whole_pixels(square: Square) -> tuple[int, int, int]:
    """Left, top and side of `square`, as it is cut."""
    side = round(square.side)
    return round(square.centre_x - 0.5 * side), round(square.centre_y - 0.5 * side), side


def cut(image: Pixels, square: Square, size_px: int) -> Pixels:
    """The `square` of `image` as ``[size_px, size_px, 3]``; beyond the border its edge."""
    height, width = image.shape[:2]
    left, top, side = whole_pixels(square)
    method = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    if 0 <= left <= width - side and 0 <= top <= height - side:
        crop = image[top : top + side, left : left + side]
    else:
        xs = np.arange(left, left + side).clip(0, width - 1)
        ys = np.arange(top, top + side).clip(0, height - 1)
        crop = image[ys[:, None], xs[None, :]]
    return np.asarray(cv2.resize(crop, (size_px, size_px), interpolation=method), np.uint8)


def crop_portrait(image: Pixels, landmarks: Landmarks, size_px: int) -> Portrait:
    """The face's square in `image` and where its landmarks are in it."""
    square = face_square(landmarks)
    left, top, side = whole_pixels(square)
    scale = size_px / side
    moved = landmarks.astype(np.float64) * scale
    # pixel centres: (x + 0.5) scales, not x
    moved[:, :2] = (landmarks[:, :2] - [left, top] + 0.5) * scale - 0.5
    return Portrait(cut(image, square, size_px), moved.astype(np.float32))


class FaceCrop:
    """The crop of one person's face over a video."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._seen: list[Square] = []
        self._outside = 0
        self._square: Square | None = None

    @property
    def square(self) -> Square | None:
        """Where the crop is; None before the first face."""
        return self._square

    @property
    def locked(self) -> bool:
        """Whether the crop stays where it is."""
        return len(self._seen) >= DETECTIONS_TO_LOCK

    def update(self, landmarks: Landmarks) -> Square:
        """Take the face ``[478, 3]`` px of the next image; the square to cut.

        Once locked it moves only for a face that has been off its middle for a second.
        """
        found = face_square(landmarks)
        if self.locked and self._square:
            self._outside = self._outside + 1 if _left(self._square, found) else 0
            if self._outside >= DETECTIONS_TO_MOVE:
                self.reset()
        if not self.locked:
            self._seen.append(found)
            self._square = Square(*np.mean(self._seen, axis=0).tolist())
        assert self._square
        return self._square


def _left(locked: Square, found: Square) -> bool:
    """Whether the face is off the middle of its square, or of quite another size."""
    free = FREE_SHARE * locked.side
    away = max(abs(found.centre_x - locked.centre_x), abs(found.centre_y - locked.centre_y))
    return away > free or not 0.5 < found.side / locked.side < 2.0
