"""Reading and framing portraits; every bad file gets one clear line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.rig.face_landmarks import head_rotation, roll_in_image, turn_from_camera
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file, save_landmark_file
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"


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


def test_the_square_stays_within_the_photo(portrait: Portrait) -> None:
    """Little room above and beside the face: a tighter square, nothing invented."""
    landmarks = portrait.landmarks * 0.9
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    margin = 0.35 * float((high - low).max())
    x0, y0 = (low - margin).astype(int)
    x1, y1 = (high + margin).astype(int)
    photo = np.full((y1 - y0, x1 - x0, 3), 90, np.uint8)
    framed = frame_portrait(photo, landmarks - np.float32([x0, y0, 0.0]), 256)
    assert framed.in_photo is None
    assert framed.landmarks[:, :2].min() > 0.05 * 256
    assert framed.landmarks[:, :2].max() < 0.95 * 256


def test_hair_is_kept_where_the_photo_shows_it(portrait: Portrait) -> None:
    """A photo that ends under the chin is no reason to cut the hair off."""
    box = float(np.ptp(portrait.landmarks[:, 1]))
    bottom = int(portrait.landmarks[:, 1].max() + 0.2 * box)
    photo = np.ascontiguousarray(portrait.image[:bottom])
    framed = frame_portrait(photo, portrait.landmarks, 256)
    assert framed.in_photo is None
    low, high = framed.landmarks[:, 1].min(), framed.landmarks[:, 1].max()
    assert low > 0.33 * (high - low)


def test_what_the_photo_lacks_is_filled_calmly(portrait: Portrait) -> None:
    """Around a face that fills its photo: no streak of the edge, no step, no mirrored forehead."""
    low = portrait.landmarks[:, :2].min(0).astype(int) - 3
    high = portrait.landmarks[:, :2].max(0).astype(int) + 3
    photo = np.ascontiguousarray(portrait.image[low[1] : high[1], low[0] : high[0]])
    framed = frame_portrait(photo, portrait.landmarks - np.float32([*low, 0.0]), 256)
    assert framed.in_photo is not None
    assert 0.2 < framed.in_photo.mean() < 0.8
    shown = framed.image.astype(int)
    for axis in (0, 1):
        steps = np.abs(np.diff(shown, axis=axis)).max(-1)
        outside = ~np.delete(framed.in_photo, 0, axis) & ~np.delete(framed.in_photo, -1, axis)
        assert np.percentile(steps[outside], 99) < 12
    corners = shown[[8, 8, -8, -8], [8, -8, 8, -8]]
    assert np.ptp(corners, axis=0).max() < 130
    assert (corners > framed.image.reshape(-1, 3).min(0)).all()


def test_a_matte_is_framed_as_the_photo_is(portrait: Portrait) -> None:
    matte = np.zeros((700, 900), np.uint8)
    landmarks = portrait.landmarks * 0.9 + np.float32([310.0, 260.0, 0.0])
    x, y = landmarks[1, :2].round().astype(int)
    matte[y - 4 : y + 5, x - 4 : x + 5] = 255
    framed = frame_portrait(np.zeros((700, 900, 3), np.uint8), landmarks, 256, matte)
    assert framed.matte is not None
    rows, columns = np.nonzero(framed.matte > 0.5)
    assert abs(columns.mean() - framed.landmarks[1, 0]) < 1.0
    assert abs(rows.mean() - framed.landmarks[1, 1]) < 1.0


def test_a_framed_portrait_is_kept_whole(portrait: Portrait) -> None:
    again = frame_portrait(portrait.image, portrait.landmarks, portrait.size_px)
    np.testing.assert_array_equal(again.image, portrait.image)
    np.testing.assert_allclose(again.landmarks, portrait.landmarks, atol=1e-3)


@pytest.mark.parametrize("name", ["ada", "ben"])
def test_the_drawn_portraits_are_kept_whole_and_upright(name: str) -> None:
    image = load_image(PORTRAITS / f"{name}.png")
    landmarks, _ = load_landmark_file(PORTRAITS / f"{name}.landmarks.json")
    framed = frame_portrait(image, landmarks, len(image))
    np.testing.assert_array_equal(framed.image, image)
    np.testing.assert_allclose(framed.landmarks, landmarks, atol=1e-3)
    assert np.abs(turn_from_camera(framed.landmarks)).max() < 0.1


def test_a_square_photo_with_its_face_at_the_side_is_framed_anew(portrait: Portrait) -> None:
    """Kept whole, it would leave the head no room to move at that border."""
    landmarks = portrait.landmarks.copy()
    landmarks[:, 0] += -float(landmarks[:, 0].min()) + 10.0
    framed = frame_portrait(portrait.image, landmarks, portrait.size_px)
    low, high = framed.landmarks[:, :2].min(0), framed.landmarks[:, :2].max(0)
    assert framed.in_photo is None
    assert low.min() > 0.05 * portrait.size_px
    assert high.max() < 0.95 * portrait.size_px


def test_a_face_that_is_cut_off_is_refused(portrait: Portrait) -> None:
    middle = int(portrait.landmarks[:, 0].mean())
    with pytest.raises(MediaError, match=r"within the image, got one of which [45]\d %"):
        frame_portrait(np.ascontiguousarray(portrait.image[:, :middle]), portrait.landmarks)
    edge = int(portrait.landmarks[:, 0].max()) - 8  # a cheek is no loss
    frame_portrait(np.ascontiguousarray(portrait.image[:, :edge]), portrait.landmarks)


def test_landmarks_of_another_image_are_refused(tmp_path: Path, portrait: Portrait) -> None:
    far = portrait.landmarks + np.float32([400.0, 0.0, 0.0])
    with pytest.raises(MediaError, match="256 x 256 pixels"):
        frame_portrait(portrait.image, far)
    save_landmark_file(tmp_path / "far.json", far, 256, 256)
    with pytest.raises(MediaError, match=r"far\.json: expected points within"):
        load_landmark_file(tmp_path / "far.json")


@pytest.mark.parametrize("degrees", [-140.0, -45.0, 8.0, 25.0, 90.0])
def test_a_leaning_face_is_turned_upright(portrait: Portrait, degrees: float) -> None:
    """Every image of a turn is framed as the upright one is."""
    photo = np.full((420, 420, 3), portrait.image[0, 0], np.uint8)
    photo[82:338, 82:338] = portrait.image
    landmarks = portrait.landmarks + np.float32([82.0, 82.0, 0.0])
    turned, turned_landmarks = _rotated(photo, landmarks, degrees)
    assert abs(np.degrees(roll_in_image(turned_landmarks)) - degrees) < 2.0
    framed = frame_portrait(turned, turned_landmarks, 256)
    assert abs(roll_in_image(framed.landmarks)) < 0.01
    level, level_landmarks = _rotated(photo, landmarks, -np.degrees(roll_in_image(landmarks)))
    expected = frame_portrait(level, level_landmarks, 256)
    np.testing.assert_allclose(
        framed.landmarks - framed.landmarks[1],
        expected.landmarks - expected.landmarks[1], atol=1.0,
    )  # fmt: skip
    # the iris lies where its landmark says
    for k in (468, 473):
        x, y = framed.landmarks[k, :2].round().astype(int)
        assert framed.image[y - 1 : y + 2, x - 1 : x + 2].mean() < 90


@pytest.mark.parametrize("degrees", [25.0, 90.0])
def test_a_leaning_photo_gives_a_level_portrait_that_renders(degrees: float) -> None:
    pytest.importorskip("mediapipe")
    from avatar_forcing_ros.perception.find_face import find_face

    photo = pytest.importorskip("skimage.data").astronaut()
    leaning, _ = _rotated(photo, np.zeros((478, 3), np.float32), degrees)
    framed = frame_portrait(leaning, find_face(leaning), 256)
    assert abs(roll_in_image(framed.landmarks)) < 0.01
    again = find_face(framed.image)
    assert abs(roll_in_image(again)) < 0.05
    assert np.abs(again - framed.landmarks)[:, :2].mean() < 3.0
    image = WarpRenderer(framed).render(vector(blink_left=1.0, jaw_open=0.6, head_yaw=0.3))
    assert image.shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll", "degrees"),
    [(0.8, 0.0, 0.0, "4[4-7]"), (-0.8, 0.0, 0.0, "4[4-7]"), (0.0, 0.7, 0.0, "[34]\\d"),
     (0.0, -0.7, 0.0, "[34]\\d"), (0.8, 0.0, 1.2, "[45]\\d")],
)  # fmt: skip
def test_a_face_that_looks_aside_is_refused(
    portrait: Portrait, yaw: float, pitch: float, roll: float, degrees: str
) -> None:
    turned = _turned(portrait.landmarks, head_rotation(0, 0, roll) @ head_rotation(yaw, pitch, 0))
    with pytest.raises(MediaError, match=f"at the camera, got one turned by {degrees} degrees"):
        frame_portrait(portrait.image, turned)


@pytest.mark.parametrize("yaw", [-0.42, 0.42, 0.9, -1.3])
def test_lids_of_any_turn_are_drawn(portrait: Portrait, yaw: float) -> None:
    """Also beyond what frame_portrait lets through: no order of the lids' points is an error."""
    turned = Portrait(portrait.image, _turned(portrait.landmarks, head_rotation(yaw, 0, 0.3)))
    assert WarpRenderer(turned).render(vector(blink_left=1.0)).shape == portrait.image.shape


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
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 2] = 200  # red, in the order that OpenCV writes
    cv2.imwrite(str(tmp_path / "red.png"), image)
    loaded = load_image(tmp_path / "red.png")
    assert loaded.shape == (4, 6, 3)
    assert loaded[0, 0].tolist() == [200, 0, 0]

    coded = cv2.imencode(".jpg", image)[1].tobytes()
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag
    (tmp_path / "turned.jpg").write_bytes(coded[:2] + segment + coded[2:])
    assert load_image(tmp_path / "turned.jpg").shape == (6, 4, 3)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_transparent_pixels_are_laid_over_grey(tmp_path: Path, kind: type) -> None:
    full = np.iinfo(kind).max
    image = np.zeros((1, 4, 4), kind)
    image[0, :, 2] = full  # red
    image[0, :, 3] = [full, 0, full // 2, full]
    cv2.imwrite(str(tmp_path / "glass.png"), image)
    loaded = load_image(tmp_path / "glass.png")
    expected = [[255, 0, 0], [128, 128, 128], [191, 64, 64], [255, 0, 0]]
    np.testing.assert_allclose(loaded[0], expected, atol=1)
    image[..., 3] = full
    cv2.imwrite(str(tmp_path / "opaque.png"), image)
    assert load_image(tmp_path / "opaque.png").tolist() == [[[255, 0, 0]] * 4]


def test_load_image_errors(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    for name in ("text.png", "empty.png", "absent.png"):
        with pytest.raises(MediaError, match="expected an image file"):
            load_image(tmp_path / name)


def _turned(landmarks: NDArray[np.float32], rotation: NDArray[np.float32]) -> np.ndarray:
    """`landmarks` turned about their own middle."""
    middle = landmarks.mean(0)
    return np.asarray((landmarks - middle) @ rotation.T + middle, np.float32)


def _rotated(
    photo: NDArray[np.uint8], landmarks: NDArray[np.float32], degrees: float
) -> tuple[np.ndarray, np.ndarray]:
    """Photo and landmarks turned clockwise about the photo's middle."""
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    turned = cv2.warpAffine(
        photo, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    points = landmarks.copy()
    points[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(turned, np.uint8), points
