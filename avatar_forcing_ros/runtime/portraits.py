"""Pictures to portraits, framed as each motion space wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import PRESETS, AvatarConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.perception.face_crop import crop_portrait
from avatar_forcing_ros.perception.face_tracker import find_face
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.portrait import (
    Portrait,
    frame_portrait,
    load_image,
    load_landmark_file,
)

DEFAULT_PORTRAIT = "models/portraits/ada.png"
LANDMARK_SUFFIX = ".landmarks.json"


def load_portrait(path: Path | None, size_px: int, landmarks: Path | None = None) -> Portrait:
    """The face in the picture at `path` (the shipped one if None), framed for the renderer.

    Landmarks come from the file `landmarks`, or from ``NAME.landmarks.json`` beside the picture,
    or are found in the picture. Raises MediaError, or FaceNotFoundError where there is no face.
    """
    return frame_portrait(*_picture_and_face(path, landmarks), size_px)


def load_face_square(path: Path | None, size_px: int, landmarks: Path | None = None) -> Portrait:
    """The same face as the latent motion space was trained to see it; raises the same."""
    return crop_portrait(*_picture_and_face(path, landmarks), size_px)


def face_in(image: NDArray[np.uint8], config: AvatarConfig, size_px: int) -> Portrait:
    """The face in `image` ``[H, W, 3]`` RGB as a portrait for `config`'s preset.

    Raises FaceNotFoundError, and MediaError for a face that cannot be used.
    """
    latent = PRESETS[config.preset].model.motion_space == "latent"
    return (crop_portrait if latent else frame_portrait)(image, find_face(image), size_px)


def _picture_and_face(
    path: Path | None, landmarks: Path | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Picture ``[H, W, 3]`` and landmarks ``[478, 3]`` px."""
    path = path or shipped(DEFAULT_PORTRAIT)
    image = load_image(path)
    beside = path.with_suffix(LANDMARK_SUFFIX)
    file = landmarks or (beside if beside.exists() else None)
    if file is None:
        return image, find_face(image)
    points, (width, height) = load_landmark_file(file)
    if image.shape[:2] != (height, width):
        raise MediaError(
            f"landmarks {file}",
            expected=f"those of a picture of {image.shape[1]} x {image.shape[0]} pixels",
            got=f"{width} x {height}",
            remedy="remove the file to have the face found again",
        )
    return image, points
