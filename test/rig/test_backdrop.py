"""What the setting `background` names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig.backdrop import Backdrop, before_backdrop, load_backdrop
from avatar_forcing_ros.rig.portrait import Portrait


def test_the_portraits_own_is_no_backdrop_and_transparent_has_no_image(portrait: Portrait) -> None:
    assert load_backdrop("portrait", 8) is None
    assert load_backdrop("transparent", 8) == Backdrop(None)
    assert before_backdrop(portrait, None) is portrait.image


def test_a_colour_fills_the_square() -> None:
    backdrop = load_backdrop("#00B140", 6)
    assert backdrop is not None
    assert backdrop.image is not None
    assert backdrop.image.shape == (6, 6, 3)
    assert (backdrop.image == (0, 0xB1, 0x40)).all()


@pytest.mark.parametrize("side", [40, 160])
def test_a_picture_covers_the_square_about_its_middle(side: int, tmp_path: Path) -> None:
    picture = np.zeros((80, 200, 3), np.uint8)
    picture[:, :60] = picture[:, 140:] = (0, 0, 255)  # BGR: what is cut off is red
    picture[:, 60:100] = 255
    cv2.imwrite(str(tmp_path / "wide.png"), picture)
    backdrop = load_backdrop(str(tmp_path / "wide.png"), side)
    assert backdrop is not None
    assert backdrop.image is not None
    assert backdrop.image.shape == (side, side, 3)
    assert (backdrop.image[:, : side // 2 - 4] > 250).all()
    assert (backdrop.image[:, side // 2 + 4 :] < 5).all()


def test_a_picture_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    for name in ("text.png", "none.png"):
        with pytest.raises(MediaError, match=name):
            load_backdrop(str(tmp_path / name), 64)
