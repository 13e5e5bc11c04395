"""A person's left is left, from the image to the coefficients, and a mirror swaps the sides."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.rig.coefficients import INDEX, vector
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.portrait import frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import frame_stamp_ns

pytest.importorskip("mediapipe")
PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"
REST_FRAMES, MOVE_FRAMES = 6, 5
# to the person's own left, each
MOVES = {
    "turn": vector(head_yaw=0.3),
    "tilt": vector(head_roll=-0.25),
    "lean": vector(head_x=0.15),
    "look": vector(gaze_x=0.8),
    "wink": vector(blink_left=1.0),
    "brow": vector(brow_up_left=0.9),
    "smile": vector(smile_left=0.9),
}


def tracked(images):
    """What each of MOVES is tracked as: the last frame of each."""
    estimator, out = UserMotionEstimator(), []
    with closing(FaceMeshTracker(max_faces=1)) as tracker:
        for k, pixels in enumerate(images):
            frame = VideoFrame(pixels, frame_stamp_ns(k))
            out.append(estimator.update(tracker.track(frame), frame.stamp_ns).values)
    every = REST_FRAMES + MOVE_FRAMES
    return {name: out[every * (i + 1) - 1] for i, name in enumerate(MOVES)}


@pytest.fixture(scope="module", params=["ada", "ben"])
def sides(request):
    """The moves as they are tracked, and as they are in a mirror."""
    points, _ = load_landmark_file(PORTRAITS / f"{request.param}.landmarks.json")
    image = load_image(PORTRAITS / f"{request.param}.png")
    renderer = WarpRenderer(frame_portrait(image, points, 320))
    shown = []
    for move in MOVES.values():
        # there and back in some frames, as faces move: a tracker would lose one that jumps
        path = [0.0] * REST_FRAMES + [*np.linspace(0.3, 1.0, MOVE_FRAMES)]
        shown += [renderer.render((part * move).astype(np.float32)) for part in path]
    return tracked(shown), tracked([np.ascontiguousarray(pixels[:, ::-1]) for pixels in shown])


@pytest.mark.parametrize(
    ("move", "name", "least"),
    [
        ("turn", "head_yaw", 0.15),
        ("tilt", "head_roll", -0.12),
        ("lean", "head_x", 0.07),
        ("look", "gaze_x", 0.3),
    ],
)
def test_what_goes_to_the_left_keeps_its_sign_and_a_mirror_flips_it(sides, move, name, least):
    seen, mirrored = (side[move][INDEX[name]] for side in sides)
    assert seen * np.sign(least) > abs(least)
    assert mirrored * np.sign(least) < -abs(least)


@pytest.mark.parametrize(
    ("move", "left", "right"),
    [
        ("wink", "blink_left", "blink_right"),
        ("brow", "brow_up_left", "brow_up_right"),
        ("smile", "smile_left", "smile_right"),
    ],
)
def test_what_the_left_side_does_is_reported_of_the_left_side(sides, move, left, right):
    seen, mirrored = (side[move] for side in sides)
    assert seen[INDEX[left]] > seen[INDEX[right]] + 0.15
    assert mirrored[INDEX[right]] > mirrored[INDEX[left]] + 0.15
