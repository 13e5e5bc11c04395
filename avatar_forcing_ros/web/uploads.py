"""What a browser sends as a file: decoded in memory, within limits, never kept under a name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media_files.image_size import image_size_px
from avatar_forcing_ros.media_files.reading import decode_audio
from avatar_forcing_ros.rig.portrait import decode_image

LARGEST_UPLOAD = 8 * 1024 * 1024  # bytes
LARGEST_SIDE_PX = 8_000
MOST_JPEG_PIXELS = 25_000_000  # a telephone's
MOST_PIXELS = 9_000_000  # of kinds with alpha or 16 bits, which take up to 60 bytes a pixel
SMALLEST_SIDE_PX = 64
LONGEST_SOUND_S = 60.0


def uploaded_picture(data: bytes) -> NDArray[np.uint8]:
    """The picture ``[H, W, 3]`` RGB in `data`; MediaError for another kind, and by its size."""
    width, height = image_size_px(data)
    if not SMALLEST_SIDE_PX <= min(width, height) <= max(width, height) <= LARGEST_SIDE_PX:
        raise MediaError(
            "picture",
            expected=f"sides of {SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX} pixels",
            got=f"{width} x {height}",
            remedy="make it smaller or take a larger one",
        )
    most = MOST_JPEG_PIXELS if data[:2] == b"\xff\xd8" else MOST_PIXELS
    if width * height > most:
        raise MediaError(
            "picture",
            expected=f"at most {most / 1e6:g} million pixels of this kind",
            got=f"{width} x {height}",
            remedy="make it smaller, or a JPEG",
        )
    return decode_image(data, "picture")


def uploaded_sound(data: bytes) -> NDArray[np.float32]:
    """The sound ``[n]``, 16 kHz, in `data`; MediaError where it is none, or too long."""
    return decode_audio(data, LONGEST_SOUND_S)
