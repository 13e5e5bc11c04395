"""The picture that is brought to life, with its 478 landmarks: reading, framing, saving."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.rig import face_mesh

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

DEFAULT_SIZE_PX = 512
PADDING = 1.15  # of the face box, half of it on each side: room for hair, shoulders and motion
_CENTRE_HEIGHT = 0.52  # of the crop: the middle of the face; hair needs more room than it seems


@dataclass(frozen=True)
class Portrait:
    """A square picture and its face.

    `image` ``[S, S, 3]`` uint8 RGB; `landmarks` ``[478, 3]`` float32 pixels of `image`, z away
    from the viewer in pixels too.
    """

    image: Image
    landmarks: Array

    @property
    def size_px(self) -> int:
        """Side length S."""
        return int(self.image.shape[0])


def load_image(path: str | Path) -> Image:
    """The picture at `path`, upright by its EXIF tag, ``[H, W, 3]`` uint8 RGB.

    Raises MediaError if it is missing or no picture.
    """
    source = Path(path)
    expected = "a picture file (PNG, JPEG, WebP, BMP)"
    try:
        data = np.frombuffer(source.read_bytes(), np.uint8)
    except OSError as error:
        raise MediaError(
            str(source), expected=expected, got=error.strerror or "an unreadable file",
            remedy="check the path",
        ) from None  # fmt: skip
    # IMREAD_COLOR applies the EXIF orientation and drops alpha
    bgr = None
    with contextlib.suppress(cv2.error):  # a size that it refuses to hold
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise MediaError(
            str(source), expected=expected, got=f"{data.size} bytes that are none",
            remedy="convert it to PNG or JPEG",
        )  # fmt: skip
    return np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)


def load_landmark_file(path: str | Path) -> tuple[Array, tuple[int, int]]:
    """Landmarks ``[478, 3]`` float32 px and the (width, height) of the picture they belong to.

    Raises MediaError if the file is missing or not of the form that ``save_landmark_file`` writes.
    """
    source = Path(path)
    remedy = "write it with `save_landmark_file`, or remove it to have the face found again"
    try:
        document: Any = json.loads(source.read_text(encoding="utf-8"))
        size = int(document["image_width"]), int(document["image_height"])
        points = np.array(document["landmarks_px"], np.float32)
    except OSError as error:
        raise MediaError(
            str(source), expected="a landmark file", got=error.strerror or "an unreadable file",
            remedy="check the path",
        ) from None  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise MediaError(
            str(source),
            expected="JSON with image_width, image_height and landmarks_px [[x, y, z] * 478]",
            got=f"{type(error).__name__} ({str(error)[:80]})", remedy=remedy,
        ) from None  # fmt: skip
    try:
        return face_mesh.check_landmarks(points), size
    except MediaError as error:
        raise MediaError(
            str(source), expected=error.expected, got=error.got, remedy=remedy
        ) from None


def save_landmark_file(
    path: str | Path, landmarks_px: Array, image_width_px: int, image_height_px: int
) -> None:
    """Write `landmarks_px` ``[478, 3]`` beside a picture of the given size; OutputError if not."""
    points = face_mesh.check_landmarks(landmarks_px)
    document = {
        "image_width": int(image_width_px),
        "image_height": int(image_height_px),
        "landmarks_px": [[round(float(v), 3) for v in row] for row in points],
    }
    try:
        Path(path).write_text(json.dumps(document) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            str(path), expected="a writable place", got=error.strerror or "an error",
            remedy="choose another folder",
        ) from None  # fmt: skip


def frame_portrait(image: Image, landmarks: Array, size: int = DEFAULT_SIZE_PX) -> Portrait:
    """The square around the face with room for head motion, scaled to `size` pixels.

    `image` ``[H, W, 3]`` uint8 RGB, `landmarks` ``[478, 3]`` px of it. The square is the face box
    padded by PADDING; where it leaves the photo, the edge is continued and blurred. A picture that
    is already such a square is kept whole. Raises MediaError for another kind of image.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise MediaError(
            "portrait", expected="uint8 RGB pixels [H, W, 3]",
            got=f"{image.dtype} {image.shape}", remedy="load it with load_image",
        )  # fmt: skip
    points = face_mesh.check_landmarks(landmarks)
    x0, y0, side = _crop_square(image.shape[1], image.shape[0], points)
    square = _cut(image, x0, y0, side)
    scale = size / side
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    pixels = square if side == size else cv2.resize(square, (size, size), interpolation=method)
    # pixel centres: (x + 0.5) scales, not x
    offset = np.array([x0 - 0.5, y0 - 0.5, 0.0], np.float32)
    moved = (points - offset) * np.float32(scale) - np.array([0.5, 0.5, 0.0], np.float32)
    return Portrait(np.ascontiguousarray(pixels, dtype=np.uint8), moved.astype(np.float32))


def _crop_square(width: int, height: int, points: Array) -> tuple[int, int, int]:
    """Left, top and side of the crop in pixels of the photo; may reach outside of it."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    box = float((high - low).max())
    side = max(round(box * (1.0 + PADDING)), 8)
    if width == height and box * 1.8 <= width <= box * 2.8:
        return 0, 0, width
    centre = 0.5 * (low + high)
    x0 = round(float(centre[0]) - 0.5 * side)
    y0 = round(float(centre[1]) - _CENTRE_HEIGHT * side)
    # rather move the square into the photo by a little than invent pixels
    slack = round(0.12 * side)
    return _nudge(x0, side, width, slack), _nudge(y0, side, height, slack), side


def _nudge(start: int, side: int, limit: int, slack: int) -> int:
    if side > limit:
        return start
    inside = min(max(start, 0), limit - side)
    return start + min(max(inside - start, -slack), slack)


def _cut(image: Image, x0: int, y0: int, side: int) -> Image:
    """The square ``[side, side, 3]``; outside the photo its edge, blurrier with distance."""
    height, width = image.shape[:2]
    xs, ys = np.arange(x0, x0 + side), np.arange(y0, y0 + side)
    square = image[ys.clip(0, height - 1)[:, None], xs.clip(0, width - 1)[None, :]]
    outside_x = np.maximum(-xs, xs - (width - 1)).clip(0)
    outside_y = np.maximum(-ys, ys - (height - 1)).clip(0)
    distance = np.maximum(outside_x[None, :], outside_y[:, None]).astype(np.float32)
    if distance.max() <= 0:
        return np.ascontiguousarray(square)
    # streaks of replicated pixels would move with the head; a blur hides them
    blurred = cv2.GaussianBlur(square, (0, 0), max(side / 40.0, 1.0))
    mix = np.clip(distance / max(side / 25.0, 1.0), 0.0, 1.0)[..., None]
    return np.asarray(square * (1 - mix) + blurred * mix + 0.5, np.uint8)
