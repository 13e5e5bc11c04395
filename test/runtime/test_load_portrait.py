"""From a file to a portrait, with and without landmarks beside it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig import image_files
from avatar_forcing_ros.rig.landmark_files import load_landmark_file, save_landmark_file
from avatar_forcing_ros.runtime import load
from avatar_forcing_ros.runtime.load import load_portrait


@pytest.fixture
def ada() -> Pillow.Image:
    return Pillow.open(shipped("models/portraits/ada.png"))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_photo_gives_the_upright_portrait(
    tmp_path: Path, ada: Pillow.Image, turn: int
) -> None:
    pytest.importorskip("mediapipe")
    ada.save(tmp_path / "ada.png")
    ada.rotate(turn, expand=True).save(tmp_path / "turned.png")
    upright = load_portrait(tmp_path / "ada.png", 256)
    found = load_portrait(tmp_path / "turned.png", 256)
    assert np.abs(found.image.astype(float) - upright.image).mean() < 1.0
    assert np.abs(found.landmarks - upright.landmarks)[:, :2].mean() < 1.5


def test_landmarks_of_a_large_jpeg_follow_its_halving(
    tmp_path: Path, ada: Pillow.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, (width, height) = load_landmark_file(shipped("models/portraits/ada.landmarks.json"))
    whole = load_portrait(shipped("models/portraits/ada.png"), 256)
    ada.save(tmp_path / "ada.jpg", quality=95)
    save_landmark_file(tmp_path / "ada.landmarks.json", points, width, height)
    for module in (image_files, load):
        monkeypatch.setattr(module, "MAX_PIXELS", width * height // 2)
    halved = load_portrait(tmp_path / "ada.jpg", 256)
    assert np.abs(halved.landmarks - whole.landmarks).max() < 1.5
    save_landmark_file(tmp_path / "ada.landmarks.json", points, width, height + 40)
    with pytest.raises(MediaError, match="remove the file"):
        load_portrait(tmp_path / "ada.jpg", 256)
