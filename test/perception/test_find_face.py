"""A face is found whichever way up it is, and only where there is one."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.rig.face_landmarks import roll_in_image
from avatar_forcing_ros.rig.image_files import load_image

pytest.importorskip("mediapipe")
data = pytest.importorskip("skimage.data")

PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"


def turned(image: np.ndarray, quarters: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image, quarters))


@pytest.fixture(scope="module", params=["ada", "ben"])
def picture(request: pytest.FixtureRequest) -> np.ndarray:
    return load_image(PORTRAITS / f"{request.param}.png")


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_is_found_whichever_way_up(picture: np.ndarray, quarters: int) -> None:
    """The landmarks are those of the upright picture, turned with it."""
    upright, found = find_face(picture), find_face(turned(picture, quarters))
    leans = np.degrees(roll_in_image(found) - roll_in_image(upright)) + 90 * quarters
    assert abs((leans + 180) % 360 - 180) < 4.0
    side = picture.shape[0] - 1
    x, y = found[:, 0], found[:, 1]
    back = {1: (side - y, x), 2: (side - x, side - y), 3: (y, side - x)}[quarters]
    apart = np.linalg.norm(np.stack(back, 1) - upright[:, :2], axis=1)
    assert apart.mean() < 0.01 * np.ptp(upright[:, 0])


@pytest.mark.parametrize("quarters", [0, 2])
def test_a_bad_picture_of_a_face_is_one(picture: np.ndarray, quarters: int) -> None:
    """Dark, noisy, coarse, badly coded: a person would know it for a face."""
    upright = find_face(picture)
    small = cv2.resize(picture, (192, 192), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(1).normal(0.0, 18.0, small.shape)
    jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 12])[1]
    pictures = {
        "dark": small * 0.15,
        "noisy": small + noise,
        "tiny": cv2.resize(small, (72, 72), interpolation=cv2.INTER_AREA),
        "badly coded": cv2.imdecode(jpeg, cv2.IMREAD_COLOR),
        "grey": small.mean(-1, keepdims=True).repeat(3, -1),
    }
    for name, pixels in pictures.items():
        image = turned(np.clip(pixels, 0, 255).astype(np.uint8), quarters)
        found = find_face(image)[:, :2] * (picture.shape[0] / image.shape[0])
        if quarters:
            found = picture.shape[0] - 1 - found
        apart = np.linalg.norm(found - upright[:, :2], axis=1).mean()
        assert apart < 0.04 * np.ptp(upright[:, 0]), name


@pytest.mark.parametrize("quarters", [0, 2])
@pytest.mark.parametrize("name", ["chelsea", "coins", "coffee", "clock", "text"])
def test_an_animal_or_a_thing_is_no_face(name: str, quarters: int) -> None:
    image = getattr(data, name)()
    pixels = image if image.ndim == 3 else np.repeat(image[..., None], 3, -1)
    with pytest.raises(FaceNotFoundError, match=r"(no face was found|human face for certain)"):
        find_face(turned(pixels, quarters))


def test_eyes_without_a_face_are_refused(picture: np.ndarray) -> None:
    """Two eyes on a field of one colour, as on an animal's head."""
    points = find_face(picture)[:, :2]
    eyes = points[[33, 133, 362, 263]]
    low, high = eyes.min(0) - 12, eyes.max(0) + 12
    alone = np.full_like(picture, 120)
    rows, columns = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    alone[rows, columns] = picture[rows, columns]
    with pytest.raises(FaceNotFoundError):
        find_face(alone)


def test_a_face_is_preferred_to_what_resembles_one(picture: np.ndarray) -> None:
    """A cat's large head beside a person's smaller one."""
    cat = data.chelsea()  # [300, 451, 3]
    face = cv2.resize(picture, (300, 300), interpolation=cv2.INTER_AREA)
    canvas = np.hstack([cat, face])
    found = find_face(canvas)
    assert found[:, 0].min() > cat.shape[1]
