"""Whether the mouth is in view, or a hand, a cup or a microphone is before it.

FaceMesh lays lips on whatever covers them, and what these lips do would be read as smiles and
frowns. Lips differ from the skin around them, though, in light and colour, and along each mouth in
its own way: that is compared with what was seen of the same face before. It is a matter of
differences within the mouth, so that light and beards, teeth and turned heads count for little.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.face_backend import Landmarks, Pixels, same_face
from avatar_forcing_ros.rig.face_landmarks import (
    EAR_LEFT,
    EAR_RIGHT,
    LIP_LOWER,
    LIP_UPPER,
    NOSE_TIP,
)

Array = NDArray[np.float64]

LEARN_IMAGES = 12  # in which a new face's mouth is looked at, and taken as in view
MEMORY_IMAGES = 250  # that what is known of a mouth is a mean of
ALIKE = (
    0.5  # correlation with that, of a mouth in view (0.66 and more on people; hands below 0.45)
)
STRONG = 0.25  # share of its contrast that is seen (0.36 and more on people; hands below 0.24)
RELIABLE = 0.82  # mean correlation from which on a mouth is known well enough to miss it
IN_A_ROW = 2  # images that must agree that it is hidden
GIVE_UP_IMAGES = 1000  # after which what is seen is taken for a mouth: a mask, another light
LOST_IMAGES = 25  # without a face, after which the next one is a new one
MOST_TURNED = (
    0.15  # the nose's distances from both sides, smaller by larger; then one sees nothing
)

SAMPLE_FACE_PX = 90.0  # a larger face is shrunk to this width
SKIN_OFFSET = 0.05  # face widths from the lips' outline to the skin that they are compared with
DARK = 8.0  # grey levels, that are added: a camera's noise in the dark is no contrast
# light, red against green, and red against blue; lips are redder than skin
_WEIGHTS = np.array([[1.0, 1.0, 1.0], [3.0, -3.0, 0.0], [2.0, 0.0, -2.0]]) / [[3.0], [1.0], [1.0]]
_BESIDE = slice(1, 10)  # columns of the lips, without the corners


class MouthView:
    """Follows one face at a time, and says of each image whether its mouth is in view."""

    def __init__(self) -> None:
        self._last: Landmarks | None = None
        self._lost = 0  # images in a row without a face
        self._hidden = 0  # images in a row in which the mouth was not known again
        self._known: list[_Mouth] = []

    def visible(self, pixels: Pixels, face: Landmarks | None) -> bool:
        """Whether the mouth of `face` ``[478, 3]`` px is in view in `pixels` ``[H, W, 3]`` RGB.

        To be called for each image, also without a face. True where nothing is known yet.
        """
        if face is None:
            self._lost += 1
            return True
        if self._last is None or self._lost > LOST_IMAGES or not same_face(face, self._last):
            self._known, self._hidden = [], 0
        self._last, self._lost = face, 0
        contrast = _contrast(pixels, face) if _turned(face) > MOST_TURNED else None
        return contrast is None or self._seen(contrast)

    def _seen(self, contrast: Array) -> bool:
        if not self._known:
            self._known = [_Mouth(contrast)]
        newest = self._known[-1]
        mouth = newest
        if newest.images >= LEARN_IMAGES:
            mouth = max(self._known, key=lambda known: known.likeness(contrast)[0])
            alike, strong = mouth.likeness(contrast)
            if mouth.reliable and (alike < ALIKE or strong < STRONG):
                self._hidden += 1
                if self._hidden > GIVE_UP_IMAGES:
                    self._known, self._hidden = [self._known[0], _Mouth(contrast)], 0
                return self._hidden < IN_A_ROW
        self._hidden = 0
        mouth.learn(contrast)
        return True


class _Mouth:
    """The mean contrast of one mouth, and how well single images agree with it."""

    def __init__(self, contrast: Array) -> None:
        self._mean, self.images, self._agreement = contrast.copy(), 1, 1.0

    @property
    def reliable(self) -> bool:
        return self._agreement > RELIABLE

    def likeness(self, contrast: Array) -> tuple[float, float]:
        """Correlation of `contrast` with the mean, and its share of the mean's strength."""
        common, own = float(contrast @ self._mean), float(self._mean @ self._mean)
        return common / np.sqrt(own * float(contrast @ contrast) + 1e-12), common / (own + 1e-12)

    def learn(self, contrast: Array) -> None:
        self.images += 1
        share = 1.0 / min(self.images, MEMORY_IMAGES)
        self._agreement += share * (self.likeness(contrast)[0] - self._agreement)
        self._mean += share * (contrast - self._mean)


def _turned(face: Landmarks) -> float:
    """How far `face` looks into the camera: 1 for straight, 0 from the side."""
    right = abs(float(face[NOSE_TIP, 0] - face[EAR_RIGHT, 0]))
    left = abs(float(face[EAR_LEFT, 0] - face[NOSE_TIP, 0]))
    return min(left, right) / max(left, right, 1e-6)


def _contrast(pixels: Pixels, face: Landmarks) -> Array | None:
    """Lips against the skin beside them, along the mouth ``[54]``; None outside of the image."""
    points = face[:, :2]
    width_px = max(1.0, float(np.ptp(points[:, 0])))
    lips = np.concatenate([points[row[1:3, _BESIDE]].mean(0) for row in (LIP_UPPER, LIP_LOWER)])
    outline = np.concatenate([points[row[0, _BESIDE]] for row in (LIP_UPPER, LIP_LOWER)])
    outwards = outline - lips  # [18, 2]
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True) + 1e-6
    places = np.stack([lips, outline + SKIN_OFFSET * width_px * outwards])  # [2, 18, 2]
    height, width = pixels.shape[:2]
    low = np.floor(places.reshape(-1, 2).min(0)).clip(0, [width - 1, height - 1]).astype(int)
    high = np.ceil(places.reshape(-1, 2).max(0)).clip(0, [width - 1, height - 1]).astype(int) + 1
    if (high - low < 3).any():
        return None
    part = pixels[low[1] : high[1], low[0] : high[0]]
    scale = min(1.0, SAMPLE_FACE_PX / width_px)
    size = np.maximum(2, np.round((high - low) * scale)).astype(int)
    if scale < 1.0:
        part = np.asarray(cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
    else:
        size = high - low
    smooth = cv2.GaussianBlur(part, (3, 3), 0)
    at = ((places - low + 0.5) * (size / (high - low)) - 0.5).astype(np.float32)
    colours = cv2.remap(
        smooth, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )  # [2, 18, 3]
    levels = np.log(colours.astype(np.float64) + DARK)
    return np.asarray(((levels[0] - levels[1]) @ _WEIGHTS.T).ravel())
