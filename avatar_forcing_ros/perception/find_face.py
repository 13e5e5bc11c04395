"""The face in a still image, however large or small it is in it and whichever way up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import cv2
import numpy as np

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.perception.certain_face import MAX_WOBBLE, SURE, FoundFace, look_again
from avatar_forcing_ros.perception.face_backend import FaceBackend
from avatar_forcing_ros.perception.face_tracker import (
    Landmarks,
    Pixels,
    check_pixels,
    make_backend,
)
from avatar_forcing_ros.rig.face_landmarks import roll_in_image

MAX_SIDE_PX = 1600  # a face is searched in no larger image
_VIEW_PX = 256  # in which a face is found; how it looks exactly is seen in the image itself
_MAX_LOOKS = 10  # at what may be a face
_TURNS = (0, 2, 1, 3)  # quarters, anticlockwise: upright, then upside down
_MIN_CONFIDENCE = 0.4


def find_face(image: Pixels, *, model_path: str | None = None) -> Landmarks:
    """Landmarks ``[478, 3]`` px of the largest face in a portrait `image` ``[H, W, 3]`` uint8 RGB.

    The face may stand on its side or upside down. Tight faces are searched for again with the
    border extended, small ones in overlapping parts of the image. Raises FaceNotFoundError, also
    for what only resembles a face (an animal's), and what FaceMeshTracker raises.
    """
    pixels = check_pixels(image)
    shrink = min(1.0, MAX_SIDE_PX / max(pixels.shape[:2]))
    small = _scaled(pixels, shrink)
    best: FoundFace | None = None
    looked: list[Landmarks] = []
    search = make_backend(True, 4, _MIN_CONFIDENCE, model_path)
    with closing(search), closing(make_backend(False, 1, _MIN_CONFIDENCE, model_path)) as tracker:
        for view, scale, offset_px in _views(small):
            for face in _faces_any_way_up(view, search):
                face[:, :2] = (face[:, :2] / scale + np.array(offset_px, np.float32)) / shrink
                face[:, 2] /= scale * shrink
                if len(looked) >= _MAX_LOOKS or any(_same(face, other) for other in looked):
                    continue
                looked.append(face)
                found = look_again(pixels, face, tracker)
                if found and (best is None or found.wobble < best.wobble):
                    best = found
                if best and best.wobble < SURE:
                    return best.landmarks
            if best and best.wobble < MAX_WOBBLE:  # no way up is better
                return best.landmarks
    height, width = pixels.shape[:2]
    what = "no face was found" if best is None else "nothing is a human face for certain"
    raise FaceNotFoundError(
        "portrait",
        expected="an image of one face, seen from the front, at least 64 pixels wide",
        got=f"{width}x{height} pixels in which {what}",
        remedy="take a sharper or closer image, or give the landmarks in a file beside it",
    )


def _faces_any_way_up(view: Pixels, backend: FaceBackend) -> Iterator[Landmarks]:
    """The faces ``[478, 3]`` in pixels of `view`, the upright ones first, large ones first."""
    for quarters in _TURNS:
        turned = np.ascontiguousarray(np.rot90(view, quarters))
        height, width = turned.shape[:2]
        faces = [f * np.array([width, height, width], np.float32) for f in backend.faces(turned)]
        for face in sorted(faces, key=lambda f: -float(np.ptp(f[:, 0]))):
            yield _turned_back(face, quarters, width, height)


def _same(face: Landmarks, other: Landmarks) -> bool:
    """Whether both are at one place, of one size and the same way up."""
    size, other_size = np.ptp(face[:, 0]), np.ptp(other[:, 0])
    apart = np.linalg.norm(face[:, :2].mean(0) - other[:, :2].mean(0))
    lean = roll_in_image(face) - roll_in_image(other)
    return bool(
        apart < 0.2 * other_size and 0.75 < size / other_size < 1.33 and np.cos(lean) > 0.8
    )


def _turned_back(face: Landmarks, quarters: int, width: int, height: int) -> Landmarks:
    """`face` in an image of that size, in what it was before it was turned by `quarters`."""
    points = face.copy()
    x, y = face[:, 0], face[:, 1]
    if quarters == 1:
        points[:, 0], points[:, 1] = height - y, x
    elif quarters == 2:
        points[:, 0], points[:, 1] = width - x, height - y
    elif quarters == 3:
        points[:, 0], points[:, 1] = y, width - x
    return points


def _views(image: Pixels) -> Iterator[tuple[Pixels, float, tuple[float, float]]]:
    """The image, then variants of it: (pixels, scale, corner in the image's pixels)."""
    height, width = image.shape[:2]
    yield _view(image, (0.0, 0.0))
    for part in (0.4, 1.0):  # a face that fills the image
        pad = int(part * max(height, width))
        padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        yield _view(np.asarray(padded, np.uint8), (-float(pad), -float(pad)))
    for part in (0.6, 0.35):  # a face that is small in the image
        side = max(64, int(part * max(height, width)))
        for top in _starts(height, side):
            for left in _starts(width, side):
                cut = image[top : top + side, left : left + side]
                yield _view(cut, (float(left), float(top)))


def _view(
    image: Pixels, corner_px: tuple[float, float]
) -> tuple[Pixels, float, tuple[float, float]]:
    scale = _VIEW_PX / max(image.shape[:2])
    return _scaled(image, scale), scale, corner_px


def _starts(length: int, side: int) -> list[int]:
    """Starts of half-overlapping windows of `side` that cover `length`, the middle one first."""
    last = max(0, length - side)
    count = 1 + -(-2 * last // side)
    starts = sorted({round(i * last / max(1, count - 1)) for i in range(count)})
    return sorted(starts, key=lambda start: abs(start - last / 2))


def _scaled(image: Pixels, scale: float) -> Pixels:
    if scale == 1.0:
        return np.ascontiguousarray(image)
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, _size(image, scale), interpolation=method), np.uint8)


def _size(image: Pixels, scale: float) -> tuple[int, int]:
    """Width and height of `image` at `scale`; of a narrow strip at least a pixel remains."""
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
