"""The person moves, what is behind them does not; what they hide is filled in calmly."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.rig.inpaint import add_grain, fill_smoothly, grain_level
from avatar_forcing_ros.rig.layers import mesh_matte, split_layers
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

TURN_RAD = 0.349  # 20 degrees


@pytest.fixture(scope="module")
def before_blinds(portrait: Portrait) -> Portrait:
    """The portrait before straight horizontal lines, with its matte."""
    matte = mesh_matte(portrait)
    lines = np.where(np.arange(portrait.size_px) % 12 < 6, 200, 120)
    blinds = np.broadcast_to(lines[:, None, None], portrait.image.shape)
    image = blinds + matte[..., None] * (portrait.image - blinds)
    return replace(portrait, image=np.asarray(image + 0.5, np.uint8), matte=matte)


def test_at_rest_the_layers_are_the_picture(before_blinds: Portrait) -> None:
    layers = split_layers(before_blinds)
    person = layers.person(layers.image).astype(float)
    shown = person[..., :3] + (1.0 - person[..., 3:] / 255.0) * layers.background
    np.testing.assert_allclose(shown, before_blinds.image, atol=2.0)


@pytest.mark.parametrize("yaw", [-TURN_RAD, TURN_RAD])
def test_straight_lines_behind_a_turning_head_stay(before_blinds: Portrait, yaw: float) -> None:
    image = WarpRenderer(before_blinds).render(vector(head_yaw=yaw, head_roll=0.1))
    reach = int(0.16 * mesh.face_frame(before_blinds.landmarks).width_px)
    assert before_blinds.matte is not None
    swept = cv2.dilate(before_blinds.matte, np.ones((2 * reach + 1, 2 * reach + 1)))
    behind = swept < 0.01
    assert behind.mean() > 0.2
    np.testing.assert_allclose(image[behind], before_blinds.image[behind], atol=2)


@pytest.mark.parametrize(("angle", "axis"), [("head_yaw", 0), ("head_pitch", 1)])
def test_a_head_turns_by_twenty_degrees(portrait: Portrait, angle: str, axis: int) -> None:
    """The nose goes as far as that of a solid head: nothing holds the turn back."""
    renderer = WarpRenderer(portrait)
    spot = _with_spot(renderer.portrait, mesh.NOSE_TIP)
    turned = WarpRenderer(spot).render(vector(**{angle: TURN_RAD}))
    moved = (_spot(turned) - spot.landmarks[mesh.NOSE_TIP, :2])[axis]
    depth = mesh.head_centre(spot.landmarks)[2] - spot.landmarks[mesh.NOSE_TIP, 2]
    height = (spot.landmarks[mesh.NOSE_TIP] - mesh.head_centre(spot.landmarks))[axis]
    solid = depth * np.sin(TURN_RAD) - height * (1.0 - np.cos(TURN_RAD))
    assert 0.85 < moved / solid < 1.3  # nearer is larger: a weak perspective adds a little


def test_shoulders_hold_still(portrait: Portrait) -> None:
    frame = mesh.face_frame(portrait.landmarks)
    below = int(portrait.landmarks[mesh.CHIN, 1] + 0.55 * frame.height_px)
    image = WarpRenderer(portrait).render(vector(head_yaw=TURN_RAD, head_pitch=0.2, head_x=0.1))
    np.testing.assert_allclose(image[below:], portrait.image[below:], atol=3)


def test_what_the_head_uncovers_is_background(before_blinds: Portrait) -> None:
    layers = split_layers(before_blinds)
    face = layers.background[100:140, 110:150].reshape(-1, 3).astype(int)
    assert np.ptp(face, axis=1).max() < 30  # grey as the blinds are, no skin
    assert 110 < face.mean() < 210


def test_a_person_ends_softly_where_their_photo_ends(portrait: Portrait) -> None:
    low = portrait.landmarks[:, :2].min(0).astype(int) - 3
    high = portrait.landmarks[:, :2].max(0).astype(int) + 3
    photo = np.ascontiguousarray(portrait.image[low[1] : high[1], low[0] : high[0]])
    framed = frame_portrait(photo, portrait.landmarks - np.float32([*low, 0.0]), 256)
    assert framed.in_photo is not None
    alpha = split_layers(framed).alpha
    assert alpha[~framed.in_photo].max() == 0.0
    assert np.abs(np.diff(alpha, axis=0)).max() < 0.2
    renderer = WarpRenderer(framed)
    still, moved = (renderer.render(vector(head_y=y)) for y in (0.0, -0.1))
    corner = np.s_[:12, :12]
    np.testing.assert_array_equal(moved[corner], still[corner])


def test_a_matte_without_the_face_is_not_believed(portrait: Portrait) -> None:
    nobody = replace(portrait, matte=np.zeros(portrait.image.shape[:2], np.float32))
    np.testing.assert_array_equal(
        split_layers(nobody).alpha, split_layers(replace(portrait, matte=None)).alpha
    )


def test_somebody_else_in_the_matte_is_left_where_they_are(portrait: Portrait) -> None:
    matte = mesh_matte(portrait)
    beside = np.zeros_like(matte)
    beside[30:80, :20] = 1.0
    both = split_layers(replace(portrait, matte=np.maximum(matte, beside)))
    np.testing.assert_array_equal(both.alpha[30:80, :20], 0.0)


def test_without_an_outline_all_is_one_layer(portrait: Portrait) -> None:
    flat = replace(portrait, image=np.full_like(portrait.image, 128))
    np.testing.assert_array_equal(mesh_matte(flat), 1.0)
    assert WarpRenderer(flat).render(vector(head_yaw=0.2)).shape == portrait.image.shape


def test_filling_keeps_what_is_known_and_invents_no_colour() -> None:
    random = np.random.default_rng(3)
    image = random.uniform(40.0, 200.0, (70, 50, 3)).astype(np.float32)
    known = (random.uniform(size=(70, 50)) < 0.3).astype(np.float32)
    known[20:50, 10:40] = 0.0
    filled = fill_smoothly(image, known)
    np.testing.assert_allclose(filled[known == 1.0], image[known == 1.0], atol=1e-3)
    assert filled.min() > 39.0
    assert filled.max() < 201.0
    hole = filled[25:45, 15:35]
    assert np.abs(np.diff(hole, axis=0)).max() < 8.0
    np.testing.assert_allclose(fill_smoothly(np.full_like(image, 77.0), known), 77.0, atol=1e-3)


def test_grain_is_measured_and_made_again() -> None:
    random = np.random.default_rng(5)
    noisy = np.repeat(random.normal(120.0, 6.0, (200, 200, 1)), 3, -1).astype(np.float32)
    everywhere = np.ones((200, 200), np.float32)
    measured = grain_level(noisy, everywhere > 0)
    again = add_grain(np.full_like(noisy, 120.0), everywhere, measured)
    assert measured == pytest.approx(grain_level(again, everywhere > 0), rel=0.15)
    assert grain_level(np.full_like(noisy, 120.0), everywhere > 0) == 0.0


def _with_spot(portrait: Portrait, landmark: int) -> Portrait:
    image = portrait.image.copy()
    x, y = portrait.landmarks[landmark, :2].round().astype(int)
    image[y - 2 : y + 3, x - 2 : x + 3] = (0, 255, 0)
    return replace(portrait, image=image)


def _spot(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Where the green spot lies, ``[2]`` px."""
    green = (image[..., 1].astype(float) - image[..., 0].astype(float) - 60.0).clip(0.0)
    green[:, :40] = green[:, -40:] = 0.0
    y, x = np.mgrid[0 : len(image), 0 : len(image)]
    return np.array([(green * x).sum(), (green * y).sum()]) / green.sum()


def test_a_forehead_that_the_border_cuts_is_stretched_without_tears(portrait: Portrait) -> None:
    """The head looks down: what the border holds is drawn out evenly, rows stay in order."""
    top = int(portrait.landmarks[mesh.FOREHEAD_TOP, 1]) - 12
    size = portrait.size_px - top
    left = int(portrait.landmarks[mesh.NOSE_TIP, 0]) - size // 2
    rows = np.linspace(0.0, 255.0, size).astype(np.uint8)
    image = np.ascontiguousarray(np.broadcast_to(rows[:, None, None], (size, size, 3)))
    matte = np.ones((size, size), np.float32)
    cut = Portrait(image, portrait.landmarks - np.float32([left, top, 0.0]), matte)
    shown = WarpRenderer(cut).render(vector(head_pitch=0.4, head_y=-0.1)).astype(int)
    steps = np.diff(shown[: size // 3, size // 3 : -size // 3, 0], axis=0)
    assert steps.min() >= -1
    assert steps.max() <= 6
