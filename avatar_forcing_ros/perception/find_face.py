"""The face in a still image, however large or small it is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import cv2
import numpy as np

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import (
    FaceMeshTracker,
    FaceObservation,
    Landmarks,
    Pixels,
    check_pixels,
)

MAX_SIDE_PX = 1600  # a face is searched in no larger image


def find_face(image: Pixels, *, model_path: str | None = None) -> Landmarks:
    """Landmarks ``[478, 3]`` px of the largest face in a portrait `image` ``[H, W, 3]`` uint8 RGB.

    Tight faces are searched for again with the border extended, small ones in overlapping parts of
    the image. Raises FaceNotFoundError, and what FaceMeshTracker raises.
    """
    pixels = check_pixels(image)
    shrink = min(1.0, MAX_SIDE_PX / max(pixels.shape[:2]))  # padded views cost their square
    small = (
        pixels
        if shrink == 1.0
        else cv2.resize(pixels, _size(pixels, shrink), interpolation=cv2.INTER_AREA)
    )
    for view, scale, offset_px in _views(np.asarray(small, np.uint8)):
        found = _refined(view, model_path)
        if found is not None:
            shift = np.array([*offset_px, 0.0], np.float32)
            return np.asarray((found / np.float32(scale) + shift) / shrink, np.float32)
    height, width = pixels.shape[:2]
    raise FaceNotFoundError(
        "portrait",
        expected="an image of one face, seen from the front, at least 64 pixels wide",
        got=f"{width}x{height} pixels in which no face was found",
        remedy="take a sharper or closer image, or give the landmarks in a file beside it",
    )


def _refined(view: Pixels, model_path: str | None) -> Landmarks | None:
    """Landmarks after three passes over one still: each pass cuts the face out by the last one."""
    tracker = FaceMeshTracker(max_faces=4, min_confidence=0.4, model_path=model_path)
    found: FaceObservation | None = None
    with closing(tracker):
        for index in range(3):
            found = tracker.track(VideoFrame(view, index * 40_000_000))
            if found is None:
                break
    return found.landmarks_px if found else None


def _views(image: Pixels) -> Iterator[tuple[Pixels, float, tuple[float, float]]]:
    """The image, then variants of it: (pixels, scale, corner in the image's pixels)."""
    height, width = image.shape[:2]
    scale = max(1.0, min(256.0 / min(height, width), MAX_SIDE_PX / max(height, width)))
    yield _scaled(image, scale), scale, (0.0, 0.0)
    for part in (0.4, 1.0):  # a face that fills the image
        pad = int(part * max(height, width))
        padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        yield _scaled(np.asarray(padded, np.uint8), scale), scale, (-float(pad), -float(pad))
    for part in (0.6, 0.35):  # a face that is small in the image
        side = max(64, int(part * max(height, width)))
        for top in _starts(height, side):
            for left in _starts(width, side):
                cut = image[top : top + side, left : left + side]
                zoom = max(1.0, 512.0 / max(cut.shape[:2]))
                yield _scaled(cut, zoom), zoom, (float(left), float(top))


def _starts(length: int, side: int) -> list[int]:
    """Starts of half-overlapping windows of `side` that cover `length`, the middle one first."""
    last = max(0, length - side)
    count = 1 + -(-2 * last // side)
    starts = sorted({round(i * last / max(1, count - 1)) for i in range(count)})
    return sorted(starts, key=lambda start: abs(start - last / 2))


def _scaled(image: Pixels, scale: float) -> Pixels:
    if scale == 1.0:
        return np.ascontiguousarray(image)
    resized = cv2.resize(image, _size(image, scale), interpolation=cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _size(image: Pixels, scale: float) -> tuple[int, int]:
    """Width and height of `image` at `scale`; of a narrow strip at least a pixel remains."""
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
