"""Reading and framing portraits; every bad file gets one clear line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.rig.portrait import (
    Portrait,
    frame_portrait,
    load_image,
    load_landmark_file,
    save_landmark_file,
)


def test_frame_follows_the_pixels(portrait: Portrait) -> None:
    """A marker painted at a landmark lands at that landmark of the framed portrait."""
    photo = np.full((700, 900, 3), 90, np.uint8)
    landmarks = portrait.landmarks * 0.9 + np.float32([310.0, 260.0, 0.0])
    x, y = landmarks[1, :2].round().astype(int)
    photo[y - 3 : y + 4, x - 3 : x + 4] = (255, 0, 0)
    framed = frame_portrait(photo, landmarks, 384)
    assert framed.image.shape == (384, 384, 3)
    red = framed.image[..., 0].astype(float) - framed.image[..., 1]
    rows, columns = np.nonzero(red > 80)
    assert abs(columns.mean() - framed.landmarks[1, 0]) < 1.0
    assert abs(rows.mean() - framed.landmarks[1, 1]) < 1.0


def test_frame_leaves_room_around_the_face(portrait: Portrait) -> None:
    photo = np.zeros((900, 900, 3), np.uint8)
    landmarks = portrait.landmarks * 0.6 + np.float32([300.0, 280.0, 0.0])
    framed = frame_portrait(photo, landmarks, 256)
    low, high = framed.landmarks[:, :2].min(0), framed.landmarks[:, :2].max(0)
    assert 0.4 < (high - low).max() / 256 < 0.55
    assert low.min() > 0.18 * 256
    assert high.max() < 0.82 * 256


def test_frame_continues_the_edge_without_mirroring(portrait: Portrait) -> None:
    """A face at the very top: above the photo lies its edge, not a reflected forehead."""
    photo = np.full((400, 600, 3), 40, np.uint8)
    photo[30:200] = 220
    shift = np.float32([170.0, -float(portrait.landmarks[:, 1].min()) + 2.0, 0.0])
    framed = frame_portrait(photo, portrait.landmarks + shift, 256)
    above = framed.image[: int(framed.landmarks[:, 1].min()) - 30]
    assert above.size
    assert above.max() < 60


def test_a_framed_portrait_is_kept_whole(portrait: Portrait) -> None:
    again = frame_portrait(portrait.image, portrait.landmarks, portrait.size_px)
    np.testing.assert_array_equal(again.image, portrait.image)
    np.testing.assert_allclose(again.landmarks, portrait.landmarks, atol=1e-3)


def test_frame_refuses_other_images(portrait: Portrait) -> None:
    with pytest.raises(MediaError, match="uint8 RGB"):
        frame_portrait(np.zeros((64, 64), np.uint8), portrait.landmarks)


def test_landmark_file_round_trip(tmp_path: Path, portrait: Portrait) -> None:
    path = tmp_path / "face.json"
    save_landmark_file(path, portrait.landmarks, 320, 240)
    landmarks, size = load_landmark_file(path)
    assert size == (320, 240)
    np.testing.assert_allclose(landmarks, portrait.landmarks, atol=1e-3)
    with pytest.raises(OutputError):
        save_landmark_file(tmp_path / "no" / "folder.json", portrait.landmarks, 1, 1)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"image_width": 3}',
     json.dumps({"image_width": 9, "image_height": 9, "landmarks_px": [[1, 2, 3]] * 468}),
     json.dumps({"image_width": 9, "image_height": 9, "landmarks_px": [[1, 2], [3]]}),
     json.dumps({"image_width": 9, "image_height": 9, "landmarks_px": "none"})],
)  # fmt: skip
def test_bad_landmark_files_name_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(MediaError, match=r"bad\.json.*expected.*got"):
        load_landmark_file(path)
    with pytest.raises(MediaError, match="missing"):
        load_landmark_file(tmp_path / "missing.json")


def test_load_image_is_rgb_and_upright(tmp_path: Path) -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[..., 2] = 200  # red, in the order that OpenCV writes
    cv2.imwrite(str(tmp_path / "red.png"), picture)
    loaded = load_image(tmp_path / "red.png")
    assert loaded.shape == (4, 6, 3)
    assert loaded[0, 0].tolist() == [200, 0, 0]

    coded = cv2.imencode(".jpg", picture)[1].tobytes()
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag
    (tmp_path / "turned.jpg").write_bytes(coded[:2] + segment + coded[2:])
    assert load_image(tmp_path / "turned.jpg").shape == (6, 4, 3)


def test_load_image_errors(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    for name in ("text.png", "empty.png", "absent.png"):
        with pytest.raises(MediaError, match="expected a picture file"):
            load_image(tmp_path / name)
