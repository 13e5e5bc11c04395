"""A person before another background: soft edges, no colour of the old one, no holes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.backdrop import Backdrop, before_backdrop, load_backdrop
from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.rig.cut_out import cut_out
from avatar_forcing_ros.rig.inpaint import fill_smoothly
from avatar_forcing_ros.rig.layers import mesh_matte, split_layers
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

GREEN, MAGENTA = (30, 200, 60), (255, 0, 255)
TURN_RAD = 0.349  # 20 degrees
POSES = [
    vector(),
    vector(head_yaw=TURN_RAD, jaw_open=0.6),
    vector(head_yaw=-TURN_RAD, head_pitch=0.2),
    vector(head_roll=0.2, head_pitch=-0.25, jaw_open=0.8),
]


@pytest.fixture(scope="module")
def matte(portrait: Portrait) -> NDArray[np.float32]:
    """The true share of the person: an outline that is soft by a pixel, as a camera's is."""
    sharp = (mesh_matte(portrait) > 0.5).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(sharp, (0, 0), 0.8), np.float32)


@pytest.fixture(scope="module")
def person(portrait: Portrait, matte: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The person's own colours ``[S, S, 3]``, continued past the outline."""
    inside = cv2.erode((matte > 0.98).astype(np.float32), np.ones((7, 7)))
    filled = fill_smoothly(portrait.image.astype(np.float32), np.asarray(inside, np.float32))
    return np.where(inside[..., None] > 0, portrait.image, filled).astype(np.uint8)


@pytest.fixture(scope="module")
def before_green(
    portrait: Portrait, person: NDArray[np.uint8], matte: NDArray[np.float32]
) -> Portrait:
    """The person before green, with a matte that is too wide, as many are."""
    wide = cv2.GaussianBlur(cv2.dilate(matte, np.ones((3, 3))), (0, 0), 1.0)
    image = _mixed(person, matte, GREEN)
    return replace(portrait, image=image, matte=np.asarray(wide, np.float32))


@pytest.fixture(scope="module")
def transparent(before_green: Portrait) -> WarpRenderer:
    return WarpRenderer(before_green, Backdrop(None))


def test_the_edge_has_nothing_of_the_old_background(
    person: NDArray[np.uint8], matte: NDArray[np.float32], before_green: Portrait
) -> None:
    truth = _mixed(person, matte, MAGENTA).astype(int)
    edge = cv2.dilate(matte, np.ones((11, 11))) - cv2.erode(matte, np.ones((11, 11))) > 0.5
    assert before_green.matte is not None
    naive = _mixed(before_green.image, before_green.matte, MAGENTA).astype(int)
    found = before_backdrop(before_green, load_backdrop("#ff00ff", len(matte))).astype(int)

    def excess_green(image: NDArray[np.int_]) -> float:
        return float((image[..., 1] - truth[..., 1])[edge].clip(0).mean())

    assert excess_green(found) < 0.2 * excess_green(naive)
    assert np.abs(found - truth)[edge].mean() < 0.3 * np.abs(naive - truth)[edge].mean()


def test_a_transparent_head_at_rest_is_the_one_that_is_drawn(
    before_green: Portrait, transparent: WarpRenderer
) -> None:
    at_rest = before_backdrop(before_green, Backdrop(None))
    assert at_rest.shape == (*before_green.image.shape[:2], 4)
    drawn = transparent.render(vector())
    assert np.abs(at_rest[..., 3].astype(int) - drawn[..., 3]).mean() < 2.0
    solid = (at_rest[..., 3] == 255) & (drawn[..., 3] == 255)
    assert np.abs(at_rest[..., :3].astype(int) - drawn[..., :3])[solid].mean() < 3.0


@pytest.mark.parametrize("pose", POSES)
def test_nothing_shines_through_a_turned_head(
    transparent: WarpRenderer, pose: NDArray[np.float32]
) -> None:
    """No hole, at the neck, the jaw or elsewhere: what is not solid is joined to the outside."""
    alpha = transparent.render(pose)[..., 3]
    _, labels = cv2.connectedComponents((alpha < 250).astype(np.uint8))
    outside = np.unique(np.concatenate([labels[0], labels[:, 0], labels[:, -1]]))
    assert np.isin(labels, outside)[alpha < 250].all()
    soft = (alpha > 12) & (alpha < 243)
    assert 0.002 < soft.mean() < 0.05  # the outline is soft, and only the outline


@pytest.mark.parametrize("pose", POSES)
def test_a_colour_behind_and_a_transparent_frame_over_it_are_the_same(
    transparent: WarpRenderer, before_green: Portrait, pose: NDArray[np.float32]
) -> None:
    """Colours come without alpha in them, the open mouth's too."""
    frame = transparent.render(pose)
    assert frame.shape == (*before_green.image.shape[:2], 4)
    renderer = WarpRenderer(before_green, load_backdrop("#ff00ff", before_green.size_px))
    laid = _mixed(frame[..., :3], frame[..., 3] / 255.0, MAGENTA).astype(int)
    # between pixels whose alpha differs, one mixes colours and the other light
    difference = np.abs(laid - renderer.render(pose))
    assert np.percentile(difference, 99) <= 3
    assert difference.mean() < 0.25


def test_a_face_moves_as_before_its_own_background(
    transparent: WarpRenderer, before_green: Portrait
) -> None:
    pose = vector(jaw_open=0.6, blink_left=1.0, head_yaw=0.2)
    own = WarpRenderer(before_green).render(pose).astype(int)
    face = cv2.erode(
        cv2.fillConvexPoly(
            np.zeros(own.shape[:2], np.uint8),
            cv2.convexHull(before_green.landmarks[mesh.OVAL, :2].astype(np.int32)),
            (1,),
        ),
        np.ones((41, 41)),
    )
    np.testing.assert_array_equal(
        transparent.render(pose)[face > 0][:, :3].astype(int), own[face > 0]
    )


def test_where_nothing_is_there_is_no_colour(transparent: WarpRenderer) -> None:
    frame = transparent.render(POSES[1])
    far = cv2.dilate(frame[..., 3], np.ones((21, 21))) == 0
    assert far.mean() > 0.1
    assert not frame[far].any()


def test_a_photo_that_ends_within_the_square_ends_softly(before_green: Portrait) -> None:
    in_photo = np.ones(before_green.image.shape[:2], bool)
    in_photo[-20:] = False
    cut = cut_out(split_layers(replace(before_green, in_photo=in_photo)), straight=True)
    middle = cut.alpha[:, before_green.size_px // 2]
    assert middle[-20:].max() < 0.01
    rise = middle[-50:-20]
    assert rise[0] > 0.95
    assert np.abs(np.diff(rise)).max() < 0.5


def test_a_person_who_does_not_stand_out_is_refused(before_green: Portrait) -> None:
    whole = replace(before_green, matte=np.ones(before_green.image.shape[:2], np.float32))
    with pytest.raises(MediaError, match=r"stands out.*no outline.*matte\.png"):
        WarpRenderer(whole, Backdrop(None))
    assert WarpRenderer(whole).render(POSES[1]).shape[2] == 3  # before its own it may


def _mixed(image: NDArray[np.uint8], alpha: NDArray, colour: tuple[int, int, int]) -> NDArray:
    behind = np.array(colour, np.float32)
    return np.asarray(behind + alpha[..., None] * (image - behind) + 0.5, np.uint8)
