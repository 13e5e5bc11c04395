"""Lids and gaze on eyes of every kind: glasses, dark, grey, closed, painted, at the border."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from avatar_forcing_ros.rig import blendshapes
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import EXPRESSION, vector
from avatar_forcing_ros.rig.eyes import EyePainter
from avatar_forcing_ros.rig.face_landmarks import EYE_LEFT, EYE_RIGHT, EyeIndices
from avatar_forcing_ros.rig.glasses import find_glasses
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

EYES = (EYE_RIGHT, EYE_LEFT)
BLINK = {"blink_left": 1.0, "blink_right": 1.0}
LOOKS = [{"gaze_x": 1.0}, {"gaze_x": -1.0}, {"gaze_y": 1.0}, {"gaze_y": -1.0}]


def paint(portrait: Portrait, **values: float) -> np.ndarray:
    """Both eyes of `portrait` with these coefficients, the head at rest."""
    basis = blendshapes.displacement_basis(portrait.landmarks)
    glasses = find_glasses(portrait)
    image = portrait.image.copy()
    for eye in EYES:
        EyePainter(portrait, basis, eye, glasses).paint(image, vector(**values)[EXPRESSION])
    return image


def width_px(portrait: Portrait) -> float:
    p = portrait.landmarks
    return float(np.linalg.norm(p[EYE_LEFT.outer, :2] - p[EYE_LEFT.inner, :2]))


def opening(portrait: Portrait, eye: EyeIndices) -> np.ndarray:
    """The pixels ``[S, S]`` between the lids at rest."""
    p = portrait.landmarks[:, :2]
    outline = [p[eye.outer], *p[eye.upper], p[eye.inner], *p[eye.lower][::-1]]
    mask = np.zeros(portrait.image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], (1,))
    return mask > 0


def with_glasses(
    portrait: Portrait, colour: tuple[int, int, int] = (30, 25, 22), thickness: int = 3
) -> tuple[Portrait, np.ndarray]:
    """`portrait` with round glasses, and the pixels ``[S, S]`` of their frame."""
    p, w = portrait.landmarks[:, :2], width_px(portrait)
    frame = np.zeros(portrait.image.shape[:2], np.uint8)
    centres = []
    for eye in EYES:
        x, y = 0.5 * (p[eye.outer] + p[eye.inner]) + [0.0, 0.15 * w]
        centres.append((x, y))
        axes = (int(0.75 * w), int(0.62 * w))
        cv2.ellipse(frame, (int(x), int(y)), axes, 0, 0, 360, (255,), thickness)
        side = np.sign(p[eye.outer, 0] - p[eye.inner, 0])
        hinge = int(x + side * 0.75 * w), int(y)
        cv2.line(frame, hinge, (int(x + side * 1.4 * w), int(y - 0.1 * w)), (255,), thickness)
    (left, y0), (right, y1) = sorted(centres)
    y = int(0.5 * (y0 + y1) - 0.1 * w)
    cv2.line(frame, (int(left + 0.74 * w), y), (int(right - 0.74 * w), y), (255,), thickness)
    alpha = cv2.GaussianBlur(frame, (0, 0), 0.6)[..., None] / 255.0
    image = portrait.image * (1.0 - alpha) + alpha * np.array(colour)
    return Portrait(image.astype(np.uint8), portrait.landmarks), frame > 0


def closed(portrait: Portrait, share: float = 1.0) -> Portrait:
    """`portrait` with its eyes shut in the picture and in the landmarks."""
    basis = blendshapes.displacement_basis(portrait.landmarks)
    shut = vector(blink_left=share, blink_right=share)[EXPRESSION]
    landmarks = portrait.landmarks + np.tensordot(shut, basis, axes=1)
    image = paint(portrait, blink_left=share, blink_right=share)
    return Portrait(image, landmarks.astype(np.float32))


def changed(portrait: Portrait, image: np.ndarray) -> Portrait:
    return Portrait(np.clip(image, 0, 255).astype(np.uint8), portrait.landmarks)


# --- glasses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("brightness", "thickness"), [(1.0, 2), (1.0, 5), (0.35, 3)])
def test_the_frame_of_glasses_is_found(
    portrait: Portrait, brightness: float, thickness: int
) -> None:
    worn, frame = with_glasses(portrait, thickness=thickness)
    found = find_glasses(changed(portrait, worn.image * brightness))
    assert found is not None
    lids = opening(portrait, EYE_LEFT) | opening(portrait, EYE_RIGHT)
    lids = cv2.dilate(lids.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    rims = frame & ~lids
    assert found[rims].mean() > 0.9
    # and little else: the frame's own soft edge, not the face in it
    near = cv2.dilate(frame.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert (found & ~near).sum() < 0.35 * frame.sum()


def test_a_face_without_glasses_has_none(portrait: Portrait) -> None:
    assert find_glasses(portrait) is None
    assert find_glasses(changed(portrait, portrait.image * 0.12)) is None
    grey = portrait.image.mean(-1, keepdims=True).repeat(3, -1)
    assert find_glasses(changed(portrait, (grey - 128.0) * 1.8 + 128.0)) is None


def test_brows_that_meet_and_eye_bags_are_no_glasses(portrait: Portrait) -> None:
    p, w = portrait.landmarks[:, :2], width_px(portrait)
    image = portrait.image.copy()
    inner = [p[eye.brow_lower[-1]] for eye in EYES]
    ends = [tuple(int(v) for v in place) for place in inner]
    cv2.line(image, ends[0], ends[1], (40, 25, 20), 5)
    for eye in EYES:
        under = p[eye.lower] + [0.0, 0.2 * w]
        cv2.polylines(image, [under.astype(np.int32)], False, (120, 70, 55), 1, cv2.LINE_AA)
    assert find_glasses(Portrait(image, portrait.landmarks)) is None


@pytest.mark.parametrize(
    "values",
    [BLINK, {"blink_left": 0.5}, {"brow_up_left": 1.0, "brow_up_right": 1.0},
     {"brow_furrow": 1.0}, {"cheek_raise": 1.0}],
)  # fmt: skip
def test_glasses_stay_where_they_are(portrait: Portrait, values: dict[str, float]) -> None:
    worn, frame = with_glasses(portrait)
    rest = WarpRenderer(worn).render(vector())
    image = WarpRenderer(worn).render(vector(**values))
    lids = opening(portrait, EYE_LEFT) | opening(portrait, EYE_RIGHT)
    rims = frame & ~(cv2.dilate(lids.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    moved = np.abs(image[rims].astype(float) - rest[rims]).mean(-1)
    assert np.percentile(moved, 95) < 12.0
    if "blink_left" in values:  # behind them the lid does close
        inside = opening(portrait, EYE_LEFT) & ~frame
        assert np.abs(image[inside].astype(float) - rest[inside]).mean() > 8.0


# --- lids ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "contrast", "dark", "grey", "wrinkled"])
def test_a_closed_eye_shows_neither_iris_nor_white(portrait: Portrait, kind: str) -> None:
    """Beside its lash line a closed eye is as light as the lid above it, whatever the picture."""
    image = portrait.image.astype(np.float32)
    if kind == "contrast":
        image = (image - 128.0) * 1.6 + 128.0
    elif kind == "dark":
        image *= 0.12
    elif kind == "grey":
        image = image.mean(-1, keepdims=True).repeat(3, -1)
    elif kind == "wrinkled":
        folds = np.sin(np.arange(len(image)) * 1.6)[:, None, None]
        skin = ~(opening(portrait, EYE_LEFT) | opening(portrait, EYE_RIGHT))[..., None]
        image += 22.0 * folds * skin
    source = changed(portrait, image)
    shut = paint(source, **BLINK)
    for eye in EYES:
        inside = opening(portrait, eye)
        middle = portrait.landmarks[eye.iris[0], 1]
        y = np.arange(len(image))[:, None]
        upper_half = inside & (y < middle)  # the lid's; below it the lashes come to lie
        lid = shut[upper_half].mean(-1)
        was = source.image[inside].mean(-1)
        iris, white = np.percentile(was, [5, 97])
        assert np.percentile(lid, 3) > iris + 0.1 * (white - iris), "a slit of iris"
        spread = np.percentile(lid, 95) - np.percentile(lid, 5)
        assert spread < 0.6 * (white - iris), "the eyeball shows through"


def test_the_brow_is_not_drawn_out_over_the_eye(portrait: Portrait) -> None:
    """A brow close to the lashes stays a brow: none of its colour comes down with the lid."""
    p, w = portrait.landmarks[:, :2], width_px(portrait)
    image = portrait.image.copy()
    x0, x1 = sorted((int(p[EYE_LEFT.outer, 0]), int(p[EYE_LEFT.inner, 0])))
    top, low = int(p[EYE_LEFT.brow_upper, 1].min()), int(p[EYE_LEFT.upper, 1].min() - 0.2 * w)
    image[top:low, x0 - 4 : x1 + 4] = (35, 24, 20)
    shut = paint(Portrait(image, portrait.landmarks), **BLINK)
    assert np.median(shut[low + 2 : low + 5, x0 + 8 : x1 - 8].mean(-1)) > 100.0
    np.testing.assert_allclose(shut[top : low - 6, x0:x1], image[top : low - 6, x0:x1], atol=3)


def test_no_stripes_run_down_a_closed_lid(portrait: Portrait) -> None:
    """Skin of hard contrast is drawn out over the eye without its contrast."""
    image = portrait.image.copy()
    image[:, ::2] = (0.75 * image[:, ::2]).astype(np.uint8)
    shut = paint(Portrait(image, portrait.landmarks), **BLINK).mean(-1)
    y = np.arange(len(image))[:, None]
    lid = opening(portrait, EYE_LEFT) & (y < portrait.landmarks[EYE_LEFT.upper, 1].min() + 5)
    across = np.abs(np.diff(shut, axis=1))
    assert across[lid[:, 1:]].mean() < 24.0


@pytest.mark.parametrize("share", [1.0, 0.93])
def test_eyes_that_are_shut_in_the_portrait_stay_shut(portrait: Portrait, share: float) -> None:
    asleep = closed(portrait, share)
    for values in (*LOOKS, {"brow_up_left": 1.0}, BLINK):
        image = paint(asleep, **values)
        difference = np.abs(image.astype(float) - asleep.image).mean(-1)
        assert difference.max() < 90.0, values


def test_a_gaze_in_closed_eyes_draws_nothing_bright(portrait: Portrait) -> None:
    asleep = closed(portrait)
    for look in LOOKS:
        for eye in EYES:
            inside = opening(portrait, eye)
            assert paint(asleep, **look)[inside].max() <= int(asleep.image[inside].max()) + 12


def test_lids_without_any_gap_are_drawn(portrait: Portrait) -> None:
    """Two lids in one line are no division by zero."""
    landmarks = portrait.landmarks.copy()
    for eye in EYES:
        landmarks[eye.upper] = landmarks[eye.lower]
    flat = Portrait(portrait.image, landmarks)
    with np.errstate(all="raise", under="ignore"):
        for values in (BLINK, *LOOKS):
            assert paint(flat, **values).shape == portrait.image.shape


@pytest.mark.parametrize("shift", [0.0, 30.0, 70.0, 400.0])
def test_eyes_at_or_beyond_the_border_are_drawn_as_far_as_they_are_seen(
    portrait: Portrait, shift: float
) -> None:
    left = float(portrait.landmarks[EYE_RIGHT.outer, 0])
    landmarks = portrait.landmarks - np.float32([left - 4.0 + shift, 0.0, 0.0])
    image = np.roll(portrait.image, -int(left - 4.0 + shift), axis=1)
    for values in (BLINK, *LOOKS):
        assert np.isfinite(paint(Portrait(image, landmarks), **values)).all()


# --- gaze ------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["plain", "dark", "grey", "warm"])
def test_a_turned_eye_keeps_the_portraits_colours(
    portrait: Portrait, kind: str, look: dict[str, float]
) -> None:
    """No white comes up that is brighter, or of another colour, than what the eye shows."""
    image = portrait.image.astype(np.float32)
    if kind == "dark":
        image *= 0.12
    elif kind == "grey":
        image = image.mean(-1, keepdims=True).repeat(3, -1)
    elif kind == "warm":
        image *= np.float32([1.0, 0.75, 0.4])
    source = changed(portrait, image)
    turned = paint(source, **look).astype(float)
    for eye in EYES:
        inside = opening(portrait, eye)
        before, after = source.image[inside].astype(float), turned[inside]
        assert after.mean(-1).max() < 1.05 * before.mean(-1).max() + 4.0
        if kind == "grey":
            assert np.ptp(after, axis=-1).max() < 3.0
        if kind == "warm":
            bright = after.mean(-1) > np.percentile(after.mean(-1), 80)
            assert (after[bright, 0] > after[bright, 2]).all()


def test_a_light_in_the_eye_goes_with_the_gaze(portrait: Portrait) -> None:
    image = portrait.image.copy()
    x, y = portrait.landmarks[EYE_LEFT.iris[0], :2].round().astype(int)
    image[y - 3 : y + 4, x - 3 : x + 4] = 20
    image[y - 1 : y + 1, x - 1 : x + 1] = 255
    lit = Portrait(image, portrait.landmarks)
    for look in LOOKS[:2]:
        turned = paint(lit, **look)
        assert turned[y - 1 : y + 1, x - 1 : x + 1].mean() < 200.0
        bright = turned[y - 6 : y + 7, x - 14 : x + 15].min(-1) > 200
        count, _ = cv2.connectedComponents(bright.astype(np.uint8))
        assert count <= 2  # the background and one light at most


def test_lids_that_look_down_come_down_with_the_eye(portrait: Portrait) -> None:
    """The lash line goes most of the iris' way: no white opens above it."""
    x = int(portrait.landmarks[EYE_LEFT.iris[0], 0])
    top = int(portrait.landmarks[EYE_LEFT.upper, 1].min()) - 3
    middle = int(portrait.landmarks[EYE_LEFT.iris[0], 1])

    def lash_row(image: np.ndarray) -> int:
        column = image[top:middle, x - 1 : x + 2].mean((1, 2))
        return int(np.argmax(column < 45.0))  # the first dark row from above

    went = lash_row(paint(portrait, gaze_y=-1.0)) - lash_row(portrait.image)
    assert went >= 0.07 * width_px(portrait)


def test_eyes_without_an_iris_are_not_turned(portrait: Portrait) -> None:
    """Blank eyes, as those of a statue, stay blank."""
    image = portrait.image.copy()
    for eye in EYES:
        inside = opening(portrait, eye)
        image[inside] = image[inside].mean((0, 1)).astype(np.uint8)
    blank = Portrait(image, portrait.landmarks)
    rest = WarpRenderer(blank).render(vector())
    turned = WarpRenderer(blank).render(vector(gaze_x=1.0))
    iris = mesh.EYE_LEFT.iris[0]
    x, y = portrait.landmarks[iris, :2].round().astype(int)
    patch = np.s_[y - 4 : y + 5, x - 12 : x + 13]
    np.testing.assert_allclose(turned[patch], rest[patch], atol=4)
