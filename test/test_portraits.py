"""The drawn test set is complete, small, and shows what it says."""

import cv2
import numpy as np
import portraits
import pytest

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.rig import face_landmarks as mesh

BYTES = 1_000_000
# what a photo's noise, cut and medium may move landmarks, of the distance between the eyes
TOLERANCE = 0.05


def upright(name):
    """The picture turned so that the face stands upright, and its landmarks."""
    image, points = portraits.image(name), portraits.landmarks(name).copy()
    if abs(portraits.truths()[name]["turn_deg"]) == 180.0:
        height, width = image.shape[:2]
        points[:, :2] = np.float32([width - 1, height - 1]) - points[:, :2]
        image = np.ascontiguousarray(image[::-1, ::-1])
    return image, points


def eye_distance(points):
    right, left = (points[eye.iris[0], :2] for eye in (mesh.EYE_RIGHT, mesh.EYE_LEFT))
    return float(np.hypot(*(left - right)))


def test_every_file_is_described_and_every_picture_has_its_files():
    there = {file.name for file in portraits.FOLDER.iterdir()}
    expected = {"portraits.json", "README.md"}
    expected |= {f"{name}.jpg" for name in portraits.truths()}
    expected |= {f"{name}.landmarks.json" for name in portraits.names()}
    assert there == expected
    assert len(portraits.names()) >= 18


def test_the_set_is_small():
    assert sum(file.stat().st_size for file in portraits.FOLDER.iterdir()) < BYTES


def test_the_readme_explains_every_field():
    readme = (portraits.FOLDER / "README.md").read_text(encoding="utf-8")
    for truth in portraits.truths().values():
        assert [field for field in truth if f"`{field}`" not in readme] == []


@pytest.mark.parametrize("name", portraits.truths())
def test_the_picture_has_the_size_that_its_entry_says(name):
    height, width = portraits.image(name).shape[:2]
    assert [width, height] == portraits.truths()[name]["size_px"]


@pytest.mark.parametrize("name", portraits.names())
def test_a_face_is_found_where_it_was_drawn(name):
    image, points = upright(name)
    found = find_face(image)
    away = np.hypot(*(found[:, :2] - points[:, :2]).T) / eye_distance(points)
    assert np.median(away) < TOLERANCE
    assert away.max() < 5 * TOLERANCE


@pytest.mark.parametrize("name", portraits.names())
def test_the_head_s_outline_holds_the_face(name):
    oval = portraits.landmarks(name)[mesh.OVAL, :2]
    outline = portraits.outline(name, "head_px")
    inside = [cv2.pointPolygonTest(outline, tuple(map(float, p)), True) for p in oval]
    assert min(inside) > -0.1 * eye_distance(portraits.landmarks(name))


@pytest.mark.parametrize("name", portraits.names())
def test_the_opening_lies_between_the_lips_of_the_landmarks(name):
    truth = portraits.truths()[name]
    assert (truth["opening_px"] is None) == (truth["gap_px"] == 0.0)
    if truth["opening_px"] is None:
        return
    points = portraits.landmarks(name)
    lips = cv2.convexHull(points[mesh.LIPS, :2])
    reach = 0.06 * eye_distance(points)
    for x, y in truth["opening_px"]:
        assert cv2.pointPolygonTest(lips, (x, y), True) > -reach


@pytest.mark.parametrize(("name", "low", "high"), [
    ("parted_teeth", 3.0, 6.0), ("parted_shadow", 3.0, 6.0), ("smile", 10.0, 20.0),
])  # fmt: skip
def test_lips_are_parted_by_as_much_as_is_said(name, low, high):
    """The mouth's opening differs from the lips around it in the picture itself."""
    assert low <= portraits.truths()[name]["gap_px"] <= high
    lab = cv2.cvtColor(portraits.image(name), cv2.COLOR_RGB2LAB).astype(float)
    inside = portraits.mask(name, "opening_px")
    around = cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))).astype(bool) & ~inside
    difference = np.abs(lab[inside].mean(0) - lab[around].mean(0))
    assert difference.max() > 5.0


def test_the_dark_photo_is_dark_and_the_grey_ones_have_no_colour():
    assert 0.08 < portraits.image("dark").mean() / 255.0 < 0.16
    for name in ("grey", "pencil", "marble"):
        image = portraits.image(name).astype(int)
        assert np.percentile(image.max(2) - image.min(2), 99) < 16


def test_pictures_that_are_no_faces_have_no_landmarks():
    for name in portraits.names(face=False):
        assert not (portraits.FOLDER / f"{name}.landmarks.json").exists()


@pytest.mark.parametrize("name", portraits.names(face=False))
def test_what_is_no_human_face_is_refused(name):
    with pytest.raises(FaceNotFoundError, match="face"):
        find_face(portraits.image(name))


def test_a_photo_upside_down_is_found_as_it_stands():
    found = find_face(portraits.image("upside_down"))
    away = np.hypot(*(found - portraits.landmarks("upside_down"))[:, :2].T)
    assert np.median(away) < TOLERANCE * eye_distance(found)
