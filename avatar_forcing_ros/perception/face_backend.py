"""What finds the faces in an image, and which of them is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SWITCH_RATIO = 1.3  # another face must be this much wider before the tracker leaves the old one
SAME_SIZE = 1.6  # nobody's face grows or shrinks by as much from image to image

Pixels = NDArray[np.uint8]  # [H, W, 3] RGB
Landmarks = NDArray[np.float32]  # [478, 3] px


class FaceBackend(Protocol):
    """What finds all faces in an image: one of MediaPipe's two interfaces."""

    def faces(self, pixels: Pixels) -> list[Landmarks]:
        """All faces, each ``[478, 3]`` in parts of the image's width and height."""

    def close(self) -> None: ...


class LazyBackend:
    """A FaceBackend that is made when the first image comes: 0.1 s and 30 MB that may be saved."""

    def __init__(self, make: Callable[[], FaceBackend]) -> None:
        self._make = make
        self._backend: FaceBackend | None = None

    def faces(self, pixels: Pixels) -> list[Landmarks]:
        if self._backend is None:
            self._backend = self._make()
        return self._backend.faces(pixels)

    def close(self) -> None:
        if self._backend:
            self._backend.close()


def choose_face(faces: list[Landmarks], last: Landmarks | None) -> Landmarks | None:
    """The widest of `faces`, unless the one seen `last` is still there and nearly as wide."""
    if not faces:
        return None
    widest = max(faces, key=width_px)
    if last is None:
        return widest
    same = nearest_face(faces, last)
    stayed = same_face(same, last)
    return same if stayed and width_px(widest) < SWITCH_RATIO * width_px(same) else widest


def nearest_face(faces: list[Landmarks], last: Landmarks) -> Landmarks:
    """The one of `faces`, at least one, that is nearest to where `last` was."""
    return min(faces, key=lambda face: _distance_px(face, last))


def same_face(face: Landmarks, last: Landmarks) -> bool:
    """Whether `face` is near enough to where `last` was, and as large, to be the same person's."""
    return _distance_px(face, last) <= 0.5 * width_px(last) and same_size(face, last)


def same_size(face: Landmarks, last: Landmarks) -> bool:
    """Whether a person's face can have become `face` since the image in which it was `last`."""
    return width_px(last) <= SAME_SIZE * width_px(face) <= SAME_SIZE**2 * width_px(last)


def width_px(face: Landmarks) -> float:
    """The size of `face`: the mean of its width and height."""
    return float(np.ptp(face[:, 0]) + np.ptp(face[:, 1])) / 2


def only_face(pixels: Pixels, face: Landmarks) -> Pixels:
    """`pixels`, black but for `face` and half a face around it."""
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    margin = 0.5 * (high - low)
    left, top = np.maximum(0, low - margin).astype(int)
    right, bottom = np.ceil(high + margin).astype(int)
    out = np.zeros_like(pixels)
    out[top:bottom, left:right] = pixels[top:bottom, left:right]
    return out


def _distance_px(a: Landmarks, b: Landmarks) -> float:
    return float(np.linalg.norm(a[:, :2].mean(0) - b[:, :2].mean(0)))
