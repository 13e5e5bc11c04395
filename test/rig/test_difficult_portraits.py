"""Drawn portraits with the difficulties of real photos: framed, cut out, animated as is right."""

from functools import lru_cache

import cv2
import numpy as np
import portraits
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.rig.photo_scale import fit_photo
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

SIZE_PX = 256
OPEN = vector(jaw_open=0.7)
TURN_RAD = 0.349  # 20 degrees


@lru_cache(maxsize=2)
def _portrait(name: str) -> Portrait:
    """The framed face, cut out by what the drawing knows of its head, and shoulders below."""
    matte = 255 * portraits.mask(name, "head_px").astype(np.uint8)
    rows, columns = np.nonzero(matte)
    matte[int(np.percentile(rows, 80)) :, columns.min() : columns.max()] = 255
    four = np.dstack([portraits.image(name), matte])
    image, points = fit_photo(four, portraits.landmarks(name), SIZE_PX)
    colours, cut = (np.ascontiguousarray(image[..., c]) for c in (slice(3), 3))
    return frame_portrait(colours, points, SIZE_PX, cut)


@lru_cache(maxsize=2)
def _renderer(name: str) -> WarpRenderer:
    return WarpRenderer(_portrait(name))


def _mouth(name: str, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Pixels ``[n, 3]`` of the open mouth's inside in a frame of OPEN."""
    renderer = _renderer(name)
    points = renderer.portrait.landmarks + np.tensordot(OPEN[6:], renderer.basis, axes=1)
    outline = np.concatenate([points[mesh.INNER_UPPER, :2], points[mesh.INNER_LOWER[::-1], :2]])
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], 1)
    return image[cv2.erode(inside, np.ones((3, 3))) > 0].astype(float)


@pytest.mark.parametrize("name", portraits.names())
def test_every_portrait_is_animated(name: str) -> None:
    renderer = _renderer(name)
    still = renderer.render(vector()).astype(int)
    np.testing.assert_allclose(still, renderer.portrait.image, atol=40)
    assert np.abs(still - renderer.portrait.image).mean() < 0.5
    for values in (OPEN, vector(head_yaw=TURN_RAD), vector(blink_left=1.0, blink_right=1.0)):
        assert np.abs(renderer.render(values).astype(int) - still).mean() > 0.1


@pytest.mark.parametrize("name", ["grey", "marble", "pencil"])
def test_a_picture_without_colour_gets_no_red_mouth(name: str) -> None:
    inside = _mouth(name, _renderer(name).render(OPEN))
    own = np.ptp(_portrait(name).image.astype(int), axis=-1)
    assert np.ptp(inside, axis=-1).max() < np.percentile(own, 99) + 8


def test_a_dark_photo_does_not_glow() -> None:
    inside = _mouth("dark", _renderer("dark").render(OPEN))
    p = _portrait("dark")
    face = cv2.boundingRect(np.round(p.landmarks[mesh.OVAL, :2]).astype(np.int32))
    skin = p.image[face[1] : face[1] + face[3], face[0] : face[0] + face[2]]
    assert inside.max() < np.percentile(skin, 99.5) + 12


def test_a_warm_painting_gets_warm_teeth() -> None:
    inside = _mouth("painting", _renderer("painting").render(OPEN))
    bright = inside[inside.sum(-1) > np.percentile(inside.sum(-1), 90)]
    assert (bright[:, 0] > bright[:, 2] + 15).mean() > 0.95


@pytest.mark.parametrize("name", ["blinds", "shelves"])
@pytest.mark.parametrize("yaw", [-TURN_RAD, TURN_RAD])
def test_lines_behind_a_head_stay_straight(name: str, yaw: float) -> None:
    """Where the head is never seen the frame is the photo, and lines go on up to the head."""
    p = _portrait(name)
    turned = _renderer(name).render(vector(head_yaw=yaw, head_pitch=0.05))
    assert p.matte is not None
    reach = int(0.16 * mesh.face_frame(p.landmarks).width_px)
    swept = cv2.dilate(p.matte, np.ones((2 * reach + 1, 2 * reach + 1))) > 0.01
    assert (~swept).mean() > 0.15
    np.testing.assert_allclose(turned[~swept], p.image[~swept], atol=3)


@pytest.mark.parametrize("name", ["hair_to_edge", "tight", "low_chin", "scan"])
def test_nothing_beside_the_head_sways_with_it(name: str) -> None:
    """What is neither head nor near it is the same in every frame: no streak, no tower of hair."""
    p = _portrait(name)
    renderer = _renderer(name)
    poses = [vector(head_yaw=y, head_roll=r) for y, r in ((-0.3, 0.1), (0.3, -0.1), (0.0, 0.0))]
    frames = np.stack([renderer.render(values) for values in poses]).astype(int)
    assert p.matte is not None
    reach = int(0.3 * mesh.face_frame(p.landmarks).width_px)
    around = cv2.dilate(p.matte, np.ones((2 * reach + 1, 2 * reach + 1))) > 0.01
    moved = np.ptp(frames, axis=0).max(-1)
    assert (moved[~around] <= 3).all()


def test_a_tight_crop_invents_little() -> None:
    """Its square lies within the photo but for what would leave the face no room at all."""
    for name in ("hair_to_edge", "low_chin", "tight"):
        framed = _portrait(name)
        assert framed.in_photo is None or framed.in_photo.mean() > 0.9


def test_a_photo_upside_down_is_turned() -> None:
    p = _portrait("upside_down")
    assert p.landmarks[mesh.FOREHEAD_TOP, 1] < p.landmarks[mesh.CHIN, 1]
    again = frame_portrait(
        np.ascontiguousarray(portraits.image("upside_down")[::-1, ::-1]),
        _half_turned("upside_down"), SIZE_PX,
    )  # fmt: skip
    np.testing.assert_allclose(p.landmarks, again.landmarks, atol=0.5)
    np.testing.assert_allclose(p.image, again.image, atol=2)


def _half_turned(name: str) -> NDArray[np.float32]:
    height, width = portraits.image(name).shape[:2]
    x, y, z = portraits.landmarks(name).T
    return np.stack([width - 1 - x, height - 1 - y, z], 1)


@pytest.mark.parametrize("seed", range(12))
def test_any_picture_and_face_is_drawn_or_refused(seed: int) -> None:
    """Noise, black, white; tiny and large; turned faces, also beyond the picture's border."""
    random = np.random.default_rng(seed)
    size_px = int(random.choice([32, 64, 100, 256]))
    height, width = random.integers(40, 500, 2)
    photo = np.full((height, width, 3), (0, 255, 128)[seed % 3], np.uint8)
    if seed % 2:
        photo = random.integers(0, 256, photo.shape).astype(np.uint8)
    points = portraits.landmarks("blinds") * np.float32(random.uniform(0.2, 1.2))
    middle = points.mean(0)
    turn = mesh.head_rotation(*random.uniform(-0.35, 0.35, 3))
    points = (points - middle) @ turn.T
    points[:, :2] += random.uniform(0.35, 0.65, 2) * [width, height]
    try:
        renderer = WarpRenderer(frame_portrait(photo, points.astype(np.float32), size_px))
    except MediaError:
        return
    for _ in range(3):
        wild = random.uniform(coefficients.LOW, coefficients.HIGH).astype(np.float32)
        assert renderer.render(wild).shape == (size_px, size_px, 3)
