"""Dark images are smoothed and brightened before a face is looked for in them.

In the dark a camera's noise is as large as the differences that landmarks are found by.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.face_backend import Landmarks, Pixels

TARGET_LEVEL = 90.0  # grey levels, the mean of a face in fair light
LEAST_GAIN, MOST_GAIN = 1.8, 16.0  # less is not worth it; more would be noise alone
BRIGHT_PERCENTILE, BRIGHT_LEVEL = 95, 150.0  # of an image in fair light, where no face is known
STEP_PX = 4  # one in so many pixels is looked at


def brightened(pixels: Pixels, face: Landmarks | None) -> Pixels:
    """`pixels` ``[H, W, 3]`` uint8, smoothed and brightened where they are dark, else as they are.

    `face` ``[478, 3]`` px is where the face was last, if it is known: its light counts, not that
    of a lamp or a window beside it.
    """
    gain = min(MOST_GAIN, _wanted_gain(pixels, face))
    if gain < LEAST_GAIN:
        return pixels
    smooth = cv2.GaussianBlur(pixels, (3, 3), 0)
    return np.asarray(cv2.convertScaleAbs(smooth, alpha=gain), np.uint8)


def _wanted_gain(pixels: Pixels, face: Landmarks | None) -> float:
    if face is not None:
        part = _box(pixels, face)
        if part.size:
            return TARGET_LEVEL / max(1.0, float(part.mean()))
    level = float(np.percentile(pixels[::STEP_PX, ::STEP_PX], BRIGHT_PERCENTILE))
    return BRIGHT_LEVEL / max(1.0, level)


def _box(pixels: Pixels, face: Landmarks) -> NDArray[np.uint8]:
    """The pixels around `face`, thinned out."""
    height, width = pixels.shape[:2]
    low = np.clip(face[:, :2].min(0), 0, [width, height]).astype(int)
    high = np.clip(face[:, :2].max(0), 0, [width, height]).astype(int)
    return pixels[low[1] : high[1] : STEP_PX, low[0] : high[0] : STEP_PX]
