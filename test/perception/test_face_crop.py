"""The crop of a face: twice its box, square, averaged over the first images and then locked."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_forcing_ros.perception.face_crop import (
    DETECTIONS_TO_LOCK,
    DETECTIONS_TO_MOVE,
    FaceCrop,
    crop_portrait,
    cut,
    face_square,
)


def box(x: float, y: float, width: float = 100.0, height: float = 120.0) -> np.ndarray:
    """Landmarks ``[478, 3]`` px that fill a box around (x, y)."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (478, 3))
    points[:2, :2] = [[-0.5, -0.5], [0.5, 0.5]]
    return (points * [width, height, 1.0] + [x, y, 0.0]).astype(np.float32)


def test_the_box_is_padded_by_its_longer_side() -> None:
    square = face_square(box(300.0, 200.0))
    assert square == pytest.approx((300.0, 200.0, 240.0), abs=1e-3)


def test_landmarks_stay_on_their_pixels() -> None:
    """A white dot under a landmark is under it in the crop as well."""
    image = np.zeros((400, 600, 3), np.uint8)
    points = box(310.0, 190.0)
    spot = points[77, :2].round().astype(int)
    image[spot[1] - 1 : spot[1] + 2, spot[0] - 1 : spot[0] + 2] = 255
    portrait = crop_portrait(image, points, 480)
    rows, columns = np.nonzero(portrait.image[..., 0] > 127)
    found = np.array([columns.mean(), rows.mean()])
    expected = portrait.landmarks[77, :2] + 2.0 * (spot - points[77, :2])
    assert np.abs(found - expected).max() < 1.0
    assert portrait.image.shape == (480, 480, 3)


def test_beyond_the_border_the_edge_goes_on() -> None:
    image = np.full((100, 100, 3), 50, np.uint8)
    image[:, 0] = 200
    crop = cut(image, face_square(box(0.0, 50.0, 40.0, 40.0)), 80)
    assert crop.shape == (80, 80, 3)
    assert (crop[:, :35] == 200).all()
    assert (crop[:, 45:] == 50).all()


def test_the_crop_is_the_mean_of_the_first_faces_and_then_stays() -> None:
    crop, rng = FaceCrop(), np.random.default_rng(1)
    assert crop.square is None
    faces = [box(*(rng.normal(0, 5, 2) + [300, 200])) for _ in range(DETECTIONS_TO_LOCK)]
    for face in faces:
        assert not crop.locked
        crop.update(face)
    assert crop.locked
    assert crop.square == pytest.approx(np.mean([face_square(f) for f in faces], axis=0))
    before = crop.square
    for shift in (0.0, 20.0, -30.0, 40.0):  # a head that moves is what the crop is to show
        assert crop.update(box(300.0 + shift, 200.0)) == before


def test_who_stays_away_is_followed_who_comes_back_is_not() -> None:
    crop = FaceCrop()
    for _ in range(DETECTIONS_TO_LOCK):
        home = crop.update(box(300.0, 200.0))
    for _ in range(DETECTIONS_TO_MOVE - 1):
        assert crop.update(box(500.0, 200.0)) == home
    assert crop.update(box(300.0, 200.0)) == home  # the count begins again
    for _ in range(DETECTIONS_TO_MOVE + DETECTIONS_TO_LOCK):
        crop.update(box(500.0, 200.0))
    assert crop.locked
    assert crop.square == pytest.approx(face_square(box(500.0, 200.0)))


def test_another_size_is_another_place() -> None:
    crop = FaceCrop()
    for _ in range(DETECTIONS_TO_LOCK):
        crop.update(box(300.0, 200.0))
    for _ in range(DETECTIONS_TO_MOVE):
        square = crop.update(box(300.0, 200.0, 250.0, 300.0))
    assert square.side == pytest.approx(600.0, rel=1e-3)


def test_reset_forgets() -> None:
    crop = FaceCrop()
    crop.update(box(300.0, 200.0))
    crop.reset()
    assert crop.square is None
    assert crop.update(box(100.0, 90.0)) == face_square(box(100.0, 90.0))
