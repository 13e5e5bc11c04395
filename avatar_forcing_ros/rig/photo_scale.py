"""A photo as a portrait needs it: upright to a quarter turn, and no larger than is of use."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.face_landmarks import roll_in_image
from avatar_forcing_ros.rig.portrait import LEAST_PADDING

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

_SPARE = 1.25  # finer than the portrait: what is left is scaled once more


def fit_photo(image: Image, landmarks: Array, size_px: int) -> tuple[Image, Array]:
    """`image` and its face ``[478, 3]`` px, for a portrait of `size_px`.

    `image` is ``[H, W, 3]``, or with a matte ``[H, W, 4]``.
    A photo that stands on its side or upside down is turned by quarters. A large face is scaled
    down by a whole number, for all that follows takes time by the pixel.
    """
    upright, points = _turned(image, landmarks)
    # of the tightest square that may be cut: no portrait is to be enlarged again
    side = (1.0 + LEAST_PADDING) * float(np.ptp(points[:, :2], axis=0).max())
    by = int(side / (_SPARE * size_px))
    if by < 2:
        return upright, points
    return _reduced(upright, points, by)


def _turned(image: Image, landmarks: Array) -> tuple[Image, Array]:
    quarters = round(roll_in_image(landmarks) / (np.pi / 2)) % 4  # clockwise, to turn back
    if quarters == 0:
        return image, landmarks
    height, width = image.shape[:2]
    x, y, z = landmarks.T
    turned = {
        1: (y, width - 1 - x),
        2: (width - 1 - x, height - 1 - y),
        3: (height - 1 - y, x),
    }[quarters]
    return np.ascontiguousarray(np.rot90(image, quarters)), np.stack([*turned, z], axis=1)


def _reduced(image: Image, landmarks: Array, by: int) -> tuple[Image, Array]:
    """Both at 1 / `by`; rows and columns that are no whole step are left out at the far end."""
    height, width = (max(by, side - side % by) for side in image.shape[:2])
    size = width // by, height // by
    small = cv2.resize(image[:height, :width], size, interpolation=cv2.INTER_AREA)
    half = np.array([0.5, 0.5, 0.0], np.float32)  # pixel centres: (x + 0.5) scales, not x
    points = (landmarks + half) / np.float32(by) - half
    return np.asarray(small, np.uint8), points.astype(np.float32)
