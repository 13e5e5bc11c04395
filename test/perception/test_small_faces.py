"""Faces of people who are metres away: found in parts of the image, then followed."""

from contextlib import closing
from functools import lru_cache

import cv2
import numpy as np
import pytest
from face_backends import LANDMARKER
from recovery import coefficient_recovery, smooth_coefficients

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_backend import same_face, width_px
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.perception.plausible_face import is_certain, is_plausible
from avatar_forcing_ros.perception.small_faces import FaceFollower, square_around, tiles
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.portrait import frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import frame_stamp_ns

pytest.importorskip("mediapipe")
HEIGHT, WIDTH = 720, 1280
SWEEP = len(tiles(HEIGHT, WIDTH)) + 2  # images in which all of the image has been searched


@lru_cache
def person(name="ben"):
    """A drawn person's portrait ``[512, 512, 3]`` and its face's landmarks."""
    image = load_image(shipped(f"models/portraits/{name}.png"))
    small = cv2.resize(image, (512, 512), interpolation=cv2.INTER_AREA)
    return small, find_face(small)


def place(scene, face_px, x, y, name="ben", image=None):
    """`scene` with a person whose face is `face_px` wide and in the middle of (x, y)."""
    portrait, face = person(name)
    scale = face_px / np.ptp(face[:, 0])
    shown = portrait if image is None else image
    small = cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, top = (np.array([x, y]) - scale * face[:, :2].mean(0)).round().astype(int)
    out = scene.copy()
    low_x, low_y = max(0, left), max(0, top)
    part = small[low_y - top : out.shape[0] - top, low_x - left : out.shape[1] - left]
    out[low_y : low_y + len(part), low_x : low_x + part.shape[1]] = part
    return out


def room(height=HEIGHT, width=WIDTH, seed=0):
    """An empty scene with edges and grain."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 190, (9, 16, 3)).astype(np.uint8)
    scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.add(scene, rng.integers(0, 9, scene.shape).astype(np.uint8))


def track(frames, **options):
    """What a fresh tracker sees in each of `frames`."""
    with closing(FaceMeshTracker(**options)) as tracker:
        seen = [tracker.track(VideoFrame(f, 40_000_000 * i)) for i, f in enumerate(frames)]
    return [None if one is None else one.landmarks_px for one in seen]


def middles(seen):
    return np.array([face[:, :2].mean(0) for face in seen])


@pytest.mark.parametrize(
    ("height", "width", "face_px"),
    [(720, 1280, 40), (1280, 720, 40), (2160, 3840, 120), (480, 640, 26), (120, 160, 24)],
)
def test_a_small_face_is_found_and_followed_where_it_is(height, width, face_px):
    x, y = 0.7 * width, 0.4 * height
    scene = place(room(height, width), face_px, x, y)
    seen = track([scene] * 24)
    assert all(face is not None for face in seen[20:])
    np.testing.assert_allclose(seen[-1][:, :2].mean(0), [x, y], atol=0.06 * face_px)
    assert np.ptp(seen[-1][:, 0]) == pytest.approx(face_px, rel=0.1)
    depth = person()[1][:, 2] * face_px / np.ptp(person()[1][:, 0])
    np.testing.assert_allclose(seen[-1][:, 2], depth, atol=0.1 * face_px)


def test_a_face_is_found_in_every_place_within_one_sweep():
    for x, y in [(40, 50), (1240, 60), (30, 670), (1250, 680), (640, 30), (333, 360)]:
        seen = track([place(room(), 44, x, y)] * SWEEP)
        assert seen[-1] is not None, (x, y)
        np.testing.assert_allclose(seen[-1][:, :2].mean(0), [x, y], atol=6.0)


def test_who_comes_from_three_metres_to_half_a_metre_and_goes_back_is_never_lost():
    far_to_near = np.geomspace(40.0, 260.0, 30)
    widths = [40.0] * 24 + [*far_to_near, *far_to_near[::-1]]
    frames = (place(room(), w, 400 + 5 * i, 380) for i, w in enumerate(widths))
    seen = track(frames)[20:]
    assert all(face is not None for face in seen)
    given = np.array([np.ptp(face[:, 0]) for face in seen])
    np.testing.assert_allclose(given, widths[20:], rtol=0.25)
    np.testing.assert_allclose(middles(seen)[:, 0], 400 + 5 * np.arange(20, 84), atol=14.0)


def test_motion_is_read_off_a_small_face():
    points, _ = load_landmark_file(shipped("models/portraits/ben.landmarks.json"))
    portrait = frame_portrait(load_image(shipped("models/portraits/ben.png")), points, 512)
    renderer = WarpRenderer(portrait)
    put = smooth_coefficients(90, seed=7)
    rest = find_face(renderer.render(coefficients.neutral()))
    scale = 44.0 / np.ptp(rest[:, 0])
    scene = room()
    estimator, given, seen = UserMotionEstimator(), [], []
    with closing(FaceMeshTracker()) as tracker:
        for i, values in enumerate([put[0]] * 20 + list(put)):
            shown, stamp_ns = scene.copy(), frame_stamp_ns(i)
            small = cv2.resize(
                renderer.render(values), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
            )
            shown[300 : 300 + len(small), 600 : 600 + small.shape[1]] = small
            found = tracker.track(VideoFrame(shown, stamp_ns))
            given.append(estimator.update(found, stamp_ns).values)
            seen.append(found is not None)
    assert all(seen[20:])
    rows = coefficient_recovery(put, np.stack(given[20:]))
    for name, least in (
        ("head_yaw", 0.95),
        ("head_pitch", 0.9),
        ("jaw_open", 0.75),
        ("blink", 0.85),
    ):
        assert rows[name].r > least, name


def test_a_hand_and_a_jump_lose_a_face_for_an_instant_alone():
    empty, here, there = room(), place(room(), 45, 400, 300), place(room(), 45, 470, 300)
    seen = track([here] * 20 + [empty] * 10 + [here] * 3 + [there] * 3)
    assert seen[19] is not None
    assert all(face is None for face in seen[20:30])  # nobody is no face
    assert all(face is not None for face in seen[32:])
    np.testing.assert_allclose(middles(seen[-1:])[0], [470, 300], atol=5.0)


def test_a_fast_face_is_followed():
    xs = 300 + 18 * np.arange(40)  # 0.4 of the face's width from image to image
    start = [place(room(), 45, xs[0], 300)] * 20
    seen = track(start + [place(room(), 45, x, 300) for x in xs])[20:]
    assert all(face is not None for face in seen)
    np.testing.assert_allclose(middles(seen)[:, 0], xs, atol=6.0)


def test_the_same_images_give_the_same_small_faces_from_fresh_trackers():
    frames = [place(room(seed=i % 3), 45, 500 + 3 * i, 300) for i in range(40)]
    frames[25:30] = [room()] * 5
    one, other = track(frames), track(frames)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sum(face is not None for face in one) > 10


def test_the_nearer_of_two_distant_people_gets_the_floor():
    alone = place(room(), 42, 600, 340)
    both = place(alone, 70, 150, 200, name="ada")
    similar = place(alone, 46, 150, 200, name="ada")
    for second, taken in ((both, True), (similar, False)):
        seen = track([alone] * 20 + [second] * (4 * SWEEP))
        assert all(face is not None for face in seen[20:])
        assert (seen[-1][:, 0].mean() < 400) == taken


def test_a_large_newcomer_takes_over_from_a_distant_person():
    alone = place(room(), 45, 900, 300)
    seen = track([alone] * 20 + [place(alone, 200, 300, 380, name="ada")] * 12)
    assert seen[19][:, 0].mean() > 800
    assert all(face is not None for face in seen[20:])
    assert seen[-1][:, 0].mean() < 400


@pytest.mark.skipif(LANDMARKER is None, reason="needs FaceLandmarker's file")
def test_landmarker_follows_a_small_face_as_well():
    frames = [place(room(), 45, 500 + 3 * i, 300) for i in range(30)]
    one, other = (track(frames, model_path=LANDMARKER) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(face is not None for face in one[20:])
    np.testing.assert_allclose(middles(one[20:])[:, 0], 500 + 3 * np.arange(20, 30), atol=8.0)


@pytest.mark.parametrize("name", ["chelsea", "coins", "brick", "coffee", "cell", "grass"])
def test_nobody_there_is_no_face(name):
    data = pytest.importorskip("skimage.data")
    try:
        image = getattr(data, name)()
    except Exception as error:  # some are fetched
        pytest.skip(str(error))
    image = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    scale = min(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    shown = np.ascontiguousarray(cv2.resize(image, None, fx=scale, fy=scale))
    assert track([shown] * SWEEP) == [None] * SWEEP


def test_a_bent_face_is_not_plausible_and_a_shifted_one_not_certain():
    face = person()[1]
    assert is_plausible(face)
    assert is_certain(face, face)
    assert not is_certain(face, face + np.float32([9.0, 0.0, 0.0]))
    bent = face.copy()
    bent[:, 0] += 0.15 * (face[:, 1] - face[:, 1].mean())  # sheared
    bent[face[:, 0] > face[:, 0].mean(), 1] += 25.0
    assert not is_plausible(bent)
    assert not is_plausible(np.full_like(face, np.nan))


def test_the_tiles_cover_the_image_and_a_face_at_any_border_between_them_lies_in_one():
    for height, width in ((720, 1280), (1280, 720), (480, 640), (2160, 3840)):
        squares = np.array(tiles(height, width))  # [n, 3] x, y, side
        low, high = squares[:, :2] - squares[:, 2:] / 2, squares[:, :2] + squares[:, 2:] / 2
        assert (low.min(0) <= 0).all()
        assert (high.max(0) >= [width, height]).all()
        half = 0.04 * max(height, width)
        for x in np.linspace(half, width - half, 40):
            for y in np.linspace(half, height - half, 40):
                inside = ((low <= [x - half, y - half]) & (high >= [x + half, y + half])).all(1)
                assert inside.any()
    assert tiles(120, 160) == ()


def test_the_square_moves_in_steps():
    """A still face with noise is cut out in the same way in every image."""

    class Backend:
        def __init__(self):
            self.views = []

        def faces(self, pixels):
            self.views.append(pixels.copy())
            wobble = np.float32(0.01) * (len(self.views) % 3)
            square = square_around(person()[1])
            middle = np.float32([square.centre_x, square.centre_y, 0])
            return [(person()[1] - middle) / np.float32(square.side) + np.float32(0.5) + wobble]

        def close(self):
            pass

    backend = Backend()
    follower = FaceFollower(backend)
    assert follower.start(person()[0], person()[1]) is not None
    for _ in range(6):
        assert follower.follow(person()[0]) is not None
    for view in backend.views[3:]:
        np.testing.assert_array_equal(view, backend.views[2])
    assert width_px(person()[1]) > 50


def test_a_mesh_of_another_size_in_the_same_place_is_not_the_same_face():
    face = person()[1]
    middle = face.mean(0)
    assert same_face(face * np.float32(1.1) - np.float32(0.1) * middle, face)
    for scale in (0.5, 2.0):
        assert not same_face(((face - middle) * scale + middle).astype(np.float32), face)
