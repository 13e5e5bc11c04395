"""The shipped portrait, small, and its renderer."""

from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"
SIZE_PX = 256


@pytest.fixture(scope="session")
def portrait() -> Portrait:
    """The default portrait at 256 px, lips closed."""
    landmarks, _ = load_landmark_file(PORTRAITS / "ada.landmarks.json")
    return frame_portrait(load_image(PORTRAITS / "ada.png"), landmarks, SIZE_PX)


@pytest.fixture(scope="session")
def renderer(portrait: Portrait) -> WarpRenderer:
    return WarpRenderer(portrait)


@pytest.fixture(scope="session")
def smiling(portrait: Portrait) -> Portrait:
    """The same face with parted lips and white teeth between them."""
    frame = mesh.face_frame(portrait.landmarks)
    bow = np.sin(np.linspace(0.0, np.pi, 11))[:, None] * 0.022 * frame.height_px * frame.axes[1]
    landmarks = portrait.landmarks.copy()
    line = 0.5 * (landmarks[mesh.INNER_UPPER] + landmarks[mesh.INNER_LOWER])
    landmarks[mesh.INNER_UPPER] = line - bow
    landmarks[mesh.INNER_LOWER] = line + bow
    image = portrait.image.copy()
    x, y = np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX))
    top = np.interp(x, landmarks[mesh.INNER_UPPER, 0], landmarks[mesh.INNER_UPPER, 1])
    base = np.interp(x, landmarks[mesh.INNER_LOWER, 0], landmarks[mesh.INNER_LOWER, 1])
    image[(y > top) & (y < base)] = (230, 228, 215)
    return Portrait(image, landmarks)
