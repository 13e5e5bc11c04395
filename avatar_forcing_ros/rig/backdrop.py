"""What is behind the head in place of the portrait's own background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import TRANSPARENT, background_file, is_colour
from avatar_forcing_ros.rig.cut_out import cut_out
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.layers import split_layers
from avatar_forcing_ros.rig.portrait import Portrait

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Backdrop:
    """`image` ``[S, S, 3]`` uint8 RGB; None: nothing, frames are transparent there."""

    image: Image | None


def load_backdrop(background: str, size_px: int) -> Backdrop | None:
    """What the setting `background` names, for frames of `size_px`; None: the portrait's own.

    A picture is cropped to the square's shape about its middle. Raises MediaError for a file that
    cannot be read.
    """
    if background == TRANSPARENT:
        return Backdrop(None)
    if is_colour(background):
        image = np.empty((size_px, size_px, 3), np.uint8)
        image[:] = tuple(bytes.fromhex(background[1:]))
        return Backdrop(image)
    file = background_file(background)
    return Backdrop(_fill_square(load_image(file), size_px)) if file else None


def _fill_square(image: Image, size_px: int) -> Image:
    """The middle of `image` ``[H, W, 3]`` as a square of `size_px`."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    method = cv2.INTER_AREA if size_px < side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (size_px, size_px), interpolation=method), np.uint8)


def before_backdrop(portrait: Portrait, backdrop: Backdrop | None) -> Image:
    """`portrait` at rest ``[S, S, 3]`` before `backdrop`; takes some 0.2 s.

    Before a transparent one ``[S, S, 4]`` RGBA, its colours not times alpha. Raises MediaError as
    `cut_out` does.
    """
    if backdrop is None:
        return portrait.image
    layers = split_layers(portrait)
    if backdrop.image is None:
        return cut_out(layers, straight=True).person(layers.image)
    person = cut_out(layers, straight=False).person(layers.image).astype(np.float32)
    through = (1.0 - person[..., 3:] / 255.0) * backdrop.image
    return np.asarray(np.clip(person[..., :3] + through + 0.5, 0.0, 255.0), np.uint8)


def before_black(colours: Image, alpha: Image) -> Image:
    """`colours` ``[H, W, 3]``, as opaque as `alpha` ``[H, W]`` says, for what has no alpha."""
    return np.asarray(cv2.multiply(colours, cv2.merge([alpha] * 3), scale=1.0 / 255.0), np.uint8)
