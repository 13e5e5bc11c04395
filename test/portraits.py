"""The drawn test set of portraits: each has a difficulty of real photos.

The pictures, their landmarks and what is known of each lie in ``test/data/portraits``; the
README there explains the fields. ``tools/draw_test_portraits.py`` draws them.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait

FOLDER = Path(__file__).parent / "data" / "portraits"
Image = NDArray[np.uint8]
Array = NDArray[np.float32]


@lru_cache
def truths() -> dict[str, dict[str, Any]]:
    """What is known of every picture, by its name; see the folder's README."""
    return json.loads((FOLDER / "portraits.json").read_text(encoding="utf-8"))


def names(*, face: bool = True) -> list[str]:
    """The pictures of people, or with ``face=False`` those in which there is no human face."""
    return [name for name, truth in truths().items() if truth["face"] == face]


def path(name: str) -> Path:
    """The picture's file; its landmarks lie beside it."""
    return FOLDER / f"{name}.jpg"


def image(name: str) -> Image:
    """The picture ``[H, W, 3]`` RGB."""
    return load_image(path(name))


def landmarks(name: str) -> Array:
    """The face in it ``[478, 3]`` px, found in the clean drawing before it was cut and aged."""
    return load_landmark_file(FOLDER / f"{name}.landmarks.json")[0]


def outline(name: str, field: str) -> Array:
    """A closed outline ``[M, 2]`` px of the picture, ``opening_px`` or ``head_px``."""
    return np.array(truths()[name][field], np.float32)


def mask(name: str, field: str) -> NDArray[np.bool_]:
    """The inside ``[H, W]`` of an outline."""
    width, height = truths()[name]["size_px"]
    filled = np.zeros((height, width), np.uint8)
    cv2.fillPoly(filled, [np.round(outline(name, field)).astype(np.int32)], 1)
    return filled.astype(bool)


@lru_cache(maxsize=4)
def portrait(name: str, size_px: int = 512) -> Portrait:
    """The framed face, with the landmarks of the file."""
    return frame_portrait(image(name), landmarks(name), size_px)
