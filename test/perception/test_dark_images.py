"""In the dark a face is followed as in the light."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.dark_images import brightened
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.rig.coefficients import INDEX, vector
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.portrait import frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import frame_stamp_ns

PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"
FRAMES = 80
NOISE = 2.0  # grey levels of a camera in the dark
FACE = np.array([[20.0, 20.0, 0.0], [60.0, 70.0, 0.0]], np.float32)


def darkened(pixels, light, rng):
    noisy = pixels * light + rng.normal(0.0, NOISE, pixels.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["ada", "ben"])
@pytest.mark.parametrize("light", [0.05, 0.03])
def test_a_face_in_the_dark_is_followed(name, light):
    pytest.importorskip("mediapipe")
    points, _ = load_landmark_file(PORTRAITS / f"{name}.landmarks.json")
    renderer = WarpRenderer(frame_portrait(load_image(PORTRAITS / f"{name}.png"), points, 320))
    time = np.arange(FRAMES) / 25.0
    yaw, jaw = 0.12 * np.sin(3.0 * time), 0.5 * np.abs(np.sin(5.0 * time))
    rng, estimator, seen = np.random.default_rng(1), UserMotionEstimator(), []
    with closing(FaceMeshTracker(max_faces=1)) as tracker:
        for k in range(FRAMES):
            shown = renderer.render(vector(head_yaw=float(yaw[k]), jaw_open=float(jaw[k])))
            frame = VideoFrame(darkened(shown, light, rng), frame_stamp_ns(k))
            seen.append(estimator.update(tracker.track(frame), frame.stamp_ns))
    values = np.stack([motion.values for motion in seen])
    assert np.mean([motion.face_visible for motion in seen]) > 0.95
    for coefficient, put in {"head_yaw": yaw, "jaw_open": jaw}.items():
        assert np.corrcoef(put, values[:, INDEX[coefficient]])[0, 1] > 0.8, coefficient


def test_what_is_bright_enough_passes_unchanged():
    grey = np.full((90, 120, 3), 100, np.uint8)
    assert brightened(grey, None) is grey
    assert brightened(grey, FACE) is grey


def test_a_lit_face_before_a_dark_wall_passes_unchanged():
    image = np.full((90, 120, 3), 8, np.uint8)
    image[20:70, 20:60] = 120
    assert brightened(image, FACE) is image
    assert brightened(image, None) is image


def test_a_dark_face_beside_a_window_is_brightened():
    image = np.full((90, 120, 3), 250, np.uint8)
    image[10:80, 10:70] = 12
    assert brightened(image, None) is image  # nothing is known of a face
    assert brightened(image, FACE)[30:60, 30:50].mean() == pytest.approx(90.0, abs=2.0)


def test_a_black_image_and_a_face_outside_do_no_harm():
    black = np.zeros((90, 120, 3), np.uint8)
    assert not brightened(black, None).any()
    assert not brightened(black, FACE + 1000.0).any()
