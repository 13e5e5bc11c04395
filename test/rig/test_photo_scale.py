"""Photos are turned by quarters and scaled down without moving the landmarks off their pixels."""

import numpy as np
import pytest

from avatar_forcing_ros.rig.face_landmarks import roll_in_image
from avatar_forcing_ros.rig.photo_scale import fit_photo
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait


def with_mark(portrait: Portrait, by: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of 1024 x 1280 with the portrait's landmarks, a white square on the nose."""
    points = portrait.landmarks * np.float32(by)
    points[:, :2] += [120.0, 60.0]
    image = np.zeros((1024, 1280, 3), np.uint8)
    x, y = points[1, :2].round().astype(int)
    points[:, :2] += np.array([x, y]) - points[1, :2]
    image[y - 4 : y + 5, x - 4 : x + 5] = 255
    return image, points


def mark(image: np.ndarray) -> np.ndarray:
    """Where the white square's middle is, x and y."""
    weight = image[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [512, 128, 60])
def test_landmarks_stay_on_their_pixels(portrait: Portrait, quarters: int, size: int) -> None:
    image, upright = with_mark(portrait, 3)
    points = upright.copy()
    height, width = image.shape[:2]
    for turn in range(quarters):
        edge = (width if turn % 2 == 0 else height) - 1
        points[:, 0], points[:, 1] = points[:, 1].copy(), edge - points[:, 0]
    fitted, moved = fit_photo(np.rot90(image, quarters), points, size)
    np.testing.assert_allclose(moved[1, :2], mark(fitted), atol=0.15)
    assert abs(roll_in_image(moved) - roll_in_image(upright)) < 1e-3
    face = np.ptp(moved[:, :2], axis=0).max()
    assert min(1.0 * size, np.ptp(upright[:, :2], axis=0).max()) * 0.5 < face < 1.5 * size


def test_what_is_small_and_upright_is_left_alone(portrait: Portrait) -> None:
    image, points = fit_photo(portrait.image, portrait.landmarks, portrait.size_px)
    assert image is portrait.image
    assert points is portrait.landmarks


def test_a_tight_photo_is_not_enlarged_again(portrait: Portrait) -> None:
    """Its square is smaller than the usual one: what is left must still be as fine as that."""
    size = 64
    points = portrait.landmarks * 4.0
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    margin = 0.2 * float((high - low).max())
    x0, y0 = (low - margin).astype(int)
    x1, y1 = (high + margin).astype(int)
    photo = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    fitted, moved = fit_photo(photo, points - np.float32([x0, y0, 0.0]), size)
    framed = frame_portrait(fitted, moved, size)
    enlarged = np.ptp(framed.landmarks[:, 0]) / np.ptp(moved[:, 0])
    assert enlarged <= 1.0
