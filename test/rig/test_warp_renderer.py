"""Pixels: the same bytes again, the portrait at rest, and moves where they belong."""

from itertools import pairwise

import numpy as np
import pytest

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

BUSY = vector(
    head_yaw=0.2, head_pitch=-0.1, head_roll=0.1, head_x=0.05, jaw_open=0.6, smile_left=0.5,
    blink_right=0.6, gaze_x=0.5, brow_up_left=0.7,
)  # fmt: skip


def test_same_input_gives_the_same_bytes(portrait: Portrait, renderer: WarpRenderer) -> None:
    first = renderer.render(BUSY)
    renderer.render(vector(head_yaw=-0.3, blink_left=1.0, mouth_pucker=1.0))  # leaves no trace
    np.testing.assert_array_equal(renderer.render(BUSY), first)
    np.testing.assert_array_equal(WarpRenderer(portrait).render(BUSY), first)
    assert first.dtype == np.uint8
    assert first.shape == portrait.image.shape


def test_the_portrait_itself_is_never_drawn_on(portrait: Portrait, renderer: WarpRenderer) -> None:
    before = portrait.image.copy()
    renderer.render(BUSY)[:] = 0
    np.testing.assert_array_equal(portrait.image, before)


def test_neutral_is_the_portrait(renderer: WarpRenderer, portrait: Portrait) -> None:
    difference = np.abs(_render(renderer).astype(int) - portrait.image)
    assert difference.mean() < 0.05
    assert difference.max() <= 2


def test_an_open_smile_at_rest_is_the_portrait_too(smiling: Portrait) -> None:
    difference = np.abs(_render(WarpRenderer(smiling)).astype(int) - smiling.image)
    assert difference.mean() < 0.1
    assert difference.max() < 60  # half a pixel of the teeth's hard edge


def test_own_teeth_stay_when_the_jaw_drops(smiling: Portrait) -> None:
    opened = _render(WarpRenderer(smiling), jaw_open=0.6)
    x, y = smiling.landmarks[[13, 14], :2].mean(0).round().astype(int)
    np.testing.assert_allclose(opened[y, x], (230, 228, 215), atol=6)


@pytest.mark.parametrize("yaw", [-0.35, 0.35])
def test_border_never_moves(renderer: WarpRenderer, portrait: Portrait, yaw: float) -> None:
    """Neither the background nor the shoulders that it cuts."""
    image = _render(renderer, head_yaw=yaw, head_pitch=0.1, head_y=-0.05, jaw_open=0.7)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        np.testing.assert_allclose(image[edge], portrait.image[edge], atol=2)


def test_jaw_and_shoulders_are_strangers(renderer: WarpRenderer, portrait: Portrait) -> None:
    chin = portrait.landmarks[mesh.CHIN, 1]
    frame = mesh.face_frame(portrait.landmarks)
    below = int(chin + 0.5 * frame.height_px)
    assert below < portrait.size_px - 4
    image = _render(renderer, jaw_open=1.0)
    np.testing.assert_allclose(image[below:], portrait.image[below:], atol=3)
    lips = int(portrait.landmarks[14, 1])
    assert np.abs(image[lips].astype(int) - portrait.image[lips]).max() > 60


def test_head_follows_the_sign_convention(renderer: WarpRenderer, portrait: Portrait) -> None:
    still = _centre(portrait.image, renderer)
    assert _centre(_render(renderer, head_yaw=0.25), renderer)[0] > still[0] + 0.8
    assert _centre(_render(renderer, head_pitch=0.2), renderer)[1] > still[1] + 0.8
    assert _centre(_render(renderer, head_x=0.1), renderer)[0] > still[0] + 0.8
    assert _centre(_render(renderer, head_y=0.1), renderer)[1] < still[1] - 0.8
    # the lips are below the middle of the head: they go left when the crown goes right
    assert _centre(_render(renderer, head_roll=0.2), renderer)[0] > still[0] + 0.8
    assert _centre(_render(renderer, head_roll=-0.2), renderer)[0] < still[0] - 0.8


def test_who_comes_nearer_is_larger(renderer: WarpRenderer, portrait: Portrait) -> None:
    still = _spread(portrait.image, renderer)
    assert _spread(_render(renderer, head_scale=0.15), renderer) > 1.04 * still
    assert _spread(_render(renderer, head_scale=-0.15), renderer) < 0.96 * still


def test_blink_covers_the_iris_of_its_own_eye(renderer: WarpRenderer, portrait: Portrait) -> None:
    image = _render(renderer, blink_left=1.0)
    left = _patch(image, portrait.landmarks[473])
    open_left = _patch(portrait.image, portrait.landmarks[473])
    right = _patch(image, portrait.landmarks[468])
    assert np.abs(left.astype(int) - open_left).mean() > 15
    np.testing.assert_allclose(right, _patch(portrait.image, portrait.landmarks[468]), atol=4)


def test_gaze_moves_the_dark_of_the_eye(renderer: WarpRenderer, portrait: Portrait) -> None:
    def dark_x(gaze: float) -> float:
        patch = _patch(_render(renderer, gaze_x=gaze), portrait.landmarks[473], 9)
        weight = (patch.mean(-1) < 60).astype(float)
        return float((weight.sum(0) * np.arange(weight.shape[1])).sum() / weight.sum())

    assert dark_x(-0.6) < dark_x(0.0) - 0.5 < dark_x(0.6) - 1.0


def test_open_mouth_is_dark_and_a_sealed_one_is_not(
    renderer: WarpRenderer, portrait: Portrait
) -> None:
    frame = mesh.face_frame(portrait.landmarks)
    inside = portrait.landmarks[13] + 0.06 * frame.height_px * frame.axes[1]
    opened = _patch(_render(renderer, jaw_open=0.9), inside, 1)
    sealed = _patch(_render(renderer, jaw_open=0.9, lips_close=1.0), inside, 1)
    assert opened.mean() < 70
    assert sealed.mean() > opened.mean() + 30


@pytest.mark.parametrize(
    "name", ["head_roll", "jaw_open", "blink_left", "gaze_x", "smile_left", "head_scale"]
)
def test_small_steps_make_small_changes(renderer: WarpRenderer, name: str) -> None:
    """Nothing pops: no step of a sweep changes the image by far more than the others."""
    images = [_render(renderer, **{name: 0.3 * value / 16}).astype(int) for value in range(17)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(images)]
    assert max(steps) < 2.0 * float(np.median(steps)) + 0.01


def test_out_of_range_is_clipped(renderer: WarpRenderer) -> None:
    wild = vector(jaw_open=7.0, head_yaw=-9.0, blink_left=-3.0, gaze_x=np.inf)
    np.testing.assert_array_equal(renderer.render(wild), renderer.render(coefficients.clip(wild)))


def test_unusable_coefficients_are_refused_by_name(renderer: WarpRenderer) -> None:
    with pytest.raises(AvatarForcingError, match="NaN in gaze_y"):
        renderer.render(vector(gaze_y=np.nan))
    with pytest.raises(AvatarForcingError, match=r"shape \(23,\)"):
        renderer.render(np.zeros(17, np.float32))


def _render(renderer: WarpRenderer, **values: float) -> np.ndarray:
    return renderer.render(vector(**values))


def _patch(image: np.ndarray, place: np.ndarray, reach: int = 3) -> np.ndarray:
    x, y = place[:2].round().astype(int)
    return image[y - reach : y + reach + 1, x - reach : x + reach + 1]


def _centre(image: np.ndarray, renderer: WarpRenderer) -> np.ndarray:
    """Where the lips' red lies, ``[2]`` px: a landmark that needs no tracker."""
    weight = _red(image, renderer)
    y, x = np.mgrid[0:80, 0:80]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def _spread(image: np.ndarray, renderer: WarpRenderer) -> float:
    """How wide the lips' red is: its standard deviation along x, px."""
    weight = _red(image, renderer)
    x = np.arange(80) - _centre(image, renderer)[0]
    return float(np.sqrt((weight * x**2).sum() / weight.sum()))


def _red(image: np.ndarray, renderer: WarpRenderer) -> np.ndarray:
    """How red the place ``[80, 80]`` around the lips at rest is."""
    place = renderer.portrait.landmarks[[13, 14], :2].mean(0)
    x0, y0 = (place - 40).astype(int)
    patch = image[y0 : y0 + 80, x0 : x0 + 80].astype(float)
    return np.asarray((patch[..., 0] - patch[..., 1] - 70.0).clip(0.0))
