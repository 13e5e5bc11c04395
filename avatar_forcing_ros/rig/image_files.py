"""Images and landmarks from files, and landmarks to files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.rig.face_landmarks import check_landmarks, check_within

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

IMAGE_FILE = "an image file (PNG, JPEG, WebP, BMP)"
_BEHIND_GREY = 128  # what shows through transparent pixels


def load_image(path: str | Path) -> Image:
    """The image at `path`, upright by its EXIF tag, ``[H, W, 3]`` uint8 RGB.

    Transparent pixels are laid over grey; such an image's EXIF tag is not read. Raises
    MediaError if it is missing or no image.
    """
    source = Path(path)
    try:
        data = source.read_bytes()
    except OSError as error:
        raise MediaError(
            str(source), expected=IMAGE_FILE, got=error.strerror or "an unreadable file",
            remedy="check the path",
        ) from None  # fmt: skip
    return decode_image(data, str(source))


def decode_image(data: bytes, what: str) -> Image:
    """The image in the bytes of a file, as `load_image` does; `what` names it in errors."""
    coded = np.frombuffer(data, np.uint8)
    bgr = None
    with contextlib.suppress(cv2.error):  # a size that it refuses to hold
        bgr = _decode(coded) if coded.size else None
    if bgr is None:
        raise MediaError(
            what, expected=IMAGE_FILE, got=f"{coded.size} bytes that are none",
            remedy="convert it to PNG or JPEG",
        )  # fmt: skip
    return np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)


def _decode(data: Image) -> Image | None:
    """The coded image `data` ``[N]`` as BGR ``[H, W, 3]``, None where it is none."""
    # JPEG has no alpha; of all others only the whole decoding tells
    raw = None if data[:2].tobytes() == b"\xff\xd8" else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if raw is not None and raw.ndim == 3 and raw.shape[2] == 4:
        full = {"uint8": 255.0, "uint16": 65535.0}.get(raw.dtype.name, 1.0)
        alpha = raw[..., 3:].astype(np.float32) / full
        if alpha.min() < 1.0:
            colour = raw[..., :3].astype(np.float32) * (255.0 / full)
            blend = _BEHIND_GREY + alpha * (colour - _BEHIND_GREY)
            return np.asarray((blend + 0.5).clip(0.0, 255.0), np.uint8)
    # applies the EXIF orientation and drops alpha
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if bgr is None else np.asarray(bgr, np.uint8)


def load_landmark_file(path: str | Path) -> tuple[Array, tuple[int, int]]:
    """Landmarks ``[478, 3]`` float32 px and the (width, height) of the image they belong to.

    Raises MediaError if the file is missing, not of the form that ``save_landmark_file`` writes,
    or holds points that are no face or far outside of the image.
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
        return check_within(check_landmarks(points), *size), size
    except MediaError as error:
        raise MediaError(
            str(source), expected=error.expected, got=error.got, remedy=remedy
        ) from None


def save_landmark_file(
    path: str | Path, landmarks_px: Array, image_width_px: int, image_height_px: int
) -> None:
    """Write `landmarks_px` ``[478, 3]`` beside an image of the given size; OutputError if not."""
    points = check_landmarks(landmarks_px)
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
