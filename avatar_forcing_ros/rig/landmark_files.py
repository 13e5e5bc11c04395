"""Landmarks from files, and to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.rig.face_landmarks import check_landmarks, check_within

Array = NDArray[np.float32]


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
