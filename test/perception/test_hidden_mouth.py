"""A hand before the mouth is seen as such: what FaceMesh lays on it is no expression."""

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from recovery import smooth_coefficients

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker, FaceObservation
from avatar_forcing_ros.perception.hidden_mouth import EASE_NS, HiddenMouth
from avatar_forcing_ros.perception.mouth_view import (
    GIVE_UP_IMAGES,
    LEARN_IMAGES,
    LOST_IMAGES,
    MouthView,
)
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.rig.coefficients import EXPRESSION_NAMES, INDEX, vector
from avatar_forcing_ros.rig.face_landmarks import INNER_LOWER, INNER_UPPER, LIPS, OVAL
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.portrait import frame_portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import frame_stamp_ns

PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"
MOUTH = [INDEX[name] for name in ("smile_left", "smile_right", "frown", "jaw_open")]
CHEEK, UNDER_NOSE = 205, 2
COVERED = slice(40, 70)  # frames, with the hand's way there and back


class Person:
    """A portrait that shows coefficients; `beard` darkens what lies around the mouth."""

    def __init__(self, name, beard=0.0):
        points, _ = load_landmark_file(PORTRAITS / f"{name}.landmarks.json")
        image = load_image(PORTRAITS / f"{name}.png")
        if beard:
            image = _bearded(image, points, beard)
        self.portrait = frame_portrait(image, points.astype(np.float32), 320)
        self._renderer = WarpRenderer(self.portrait)

    def image(self, values):
        return self._renderer.render(np.asarray(values, np.float32))


def _bearded(image, points, amount):
    mask = np.zeros(image.shape[:2], np.float32)
    outline = points[OVAL][:, :2].astype(np.int32)
    cv2.fillPoly(mask, [outline], 1.0)
    mask[: int(points[UNDER_NOSE, 1])] = 0.0
    cv2.fillPoly(mask, [cv2.convexHull(points[LIPS][:, :2].astype(np.int32))], 0.0)
    soft = cv2.GaussianBlur(mask, (0, 0), 3.0)[..., None]
    hair = np.random.default_rng(2).normal(1.0, 0.2, (*mask.shape, 1))
    dark = image * (1.0 - amount) * hair
    return np.clip(image * (1.0 - soft) + dark * soft, 0, 255).astype(np.uint8)


def hand(image, face, share):
    """Four fingers over the mouth of `face`, in its own colour; they come from below."""
    if share <= 0.0:
        return image
    out, width = image.copy(), float(np.ptp(face[:, 0]))
    x, y = face[[INNER_UPPER[5], INNER_LOWER[5]], :2].mean(0)
    y += (1.0 - share) * width
    at = face[CHEEK, :2].astype(int)
    skin = image[at[1] - 3 : at[1] + 4, at[0] - 3 : at[0] + 4].reshape(-1, 3).mean(0)
    for k in range(4):
        down = y + (k - 1.5) * 0.13 * width
        ends = [
            (int(x - 0.36 * width), int(down + 0.05 * width)),
            (int(x + 0.75 * width), int(down + 0.15 * width)),
        ]
        for part, light in ((0.155, 0.75), (0.125, 0.95)):
            colour = (skin * light).tolist()
            cv2.line(out, *ends, colour, max(1, int(part * width)), cv2.LINE_AA)
    return cv2.GaussianBlur(out, (3, 3), 0)


def seen(images, static=False):
    """Observations and motions of `images`."""
    estimator, observations, motions = UserMotionEstimator(), [], []
    with closing(FaceMeshTracker(static, max_faces=1)) as tracker:
        for k, image in enumerate(images):
            stamp_ns = frame_stamp_ns(k)
            observations.append(tracker.track(VideoFrame(image, stamp_ns)))
            motions.append(estimator.update(observations[-1], stamp_ns).values)
    return observations, np.stack(motions)


def hand_comes_and_goes():
    """How far it has come, of 100 frames."""
    frame = np.arange(100)
    return np.clip((frame - COVERED.start + 6) / 6, 0, 1) * np.clip(
        (COVERED.stop + 6 - frame) / 6, 0, 1
    )


@pytest.mark.parametrize("name", ["ada", "ben"])
def test_what_a_hand_does_before_the_mouth_is_no_expression(name):
    pytest.importorskip("mediapipe")
    person = Person(name)
    shares = hand_comes_and_goes()
    sway = 0.1 * np.sin(np.arange(100) / 9.0)
    smile = np.where(np.arange(100) < 85, 0.0, 0.8)
    images = [
        hand(
            person.image(vector(head_yaw=float(y), smile_left=float(s), smile_right=float(s))),
            person.portrait.landmarks,
            share,
        )
        for share, y, s in zip(shares, sway, smile, strict=True)
    ]
    observations, values = seen(images)
    visible = np.array([one is None or one.mouth_visible for one in observations])
    covered = np.array([one is not None for one in observations]) & (shares >= 1.0)
    assert covered.sum() > 15  # the face is still found
    assert visible[: COVERED.start - 6].all()
    assert visible[COVERED.stop + 10 :].all()
    assert visible[covered][3:].mean() < 0.1
    rest = values[20:34, MOUTH].mean(0)
    assert np.abs(values[COVERED.start + 18 : COVERED.stop, MOUTH]).max() < 0.05
    assert (values[COVERED.start + 3 : COVERED.stop, MOUTH] - rest).max() < 0.2
    assert np.abs(values[78:84, MOUTH] - rest).max() < 0.2  # the resting face learned nothing
    assert values[-6:, MOUTH[0]].mean() > 0.5  # and a smile afterwards is one


def darkened(image):
    noise = np.random.default_rng(3).normal(0.0, 2.0, image.shape)
    return np.clip(image * 0.06 + noise, 0, 255).astype(np.uint8)


def far_away(image):
    small = cv2.resize(image, (100, 100), interpolation=cv2.INTER_AREA)  # a face of 45 pixels
    out = np.full((480, 640, 3), 120, np.uint8)
    out[200:300, 300:400] = small
    return out


LOOKS = {
    "plain": (0.0, lambda image: image),
    "full beard": (0.7, lambda image: image),
    "stubble": (0.3, lambda image: image),
    "in the dark": (0.0, darkened),
    "far away": (0.0, far_away),
}


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("name", ["ada", "ben"])
def test_mouths_that_talk_yawn_and_turn_away_are_in_view(name, look):
    pytest.importorskip("mediapipe")
    beard, changed = LOOKS[look]
    person = Person(name, beard)
    put = smooth_coefficients(130, seed=11)
    put[100:118, INDEX["jaw_open"]] = 0.95  # a yawn
    put[:, INDEX["head_yaw"]] *= 1.5
    observations, _ = seen([changed(person.image(values)) for values in put])
    found = [one.mouth_visible for one in observations if one is not None]
    assert len(found) > 100
    assert np.mean(found) > 0.995


@pytest.fixture
def lips():
    """A face ``[478, 3]`` with an image of its lips, and one of what covers them."""
    person = Person("ada")
    bare = person.image(vector())
    face = person.portrait.landmarks
    return face, bare, hand(bare, face, 1.0)


def look(view, image, face, images):
    return [view.visible(image, face) for _ in range(images)]


def test_another_face_is_looked_at_afresh(lips):
    """Somebody whose mouth is covered from the first image on is taken as they are."""
    face, bare, covered = lips
    view = MouthView()
    assert all(look(view, bare, face, LEARN_IMAGES + 5))
    assert not any(look(view, covered, face, 10)[2:])
    assert all(look(view, covered, None, LOST_IMAGES + 1))
    assert all(look(view, covered, face, LEARN_IMAGES + 5))
    elsewhere = face + np.float32([3.0 * np.ptp(face[:, 0]), 0.0, 0.0])
    assert all(look(view, bare, elsewhere, LEARN_IMAGES + 5))


def test_a_mask_becomes_the_mouth_in_time_and_the_bare_one_is_known_again(lips):
    face, bare, covered = lips
    view = MouthView()
    look(view, bare, face, LEARN_IMAGES + 5)
    assert not any(look(view, covered, face, GIVE_UP_IMAGES)[2:])
    assert all(look(view, covered, face, LEARN_IMAGES + 5)[1:])
    assert all(look(view, bare, face, 5))


def test_a_face_outside_of_the_image_or_in_profile_is_not_judged(lips):
    face, bare, covered = lips
    view = MouthView()
    look(view, bare, face, LEARN_IMAGES + 5)
    below = face + np.float32([0.0, bare.shape[0], 0.0])
    assert all(look(view, covered, below, 5))
    profile = face.copy()
    profile[:, 0] = np.where(face[:, 0] > face[1, 0], face[1, 0], face[:, 0])
    assert all(look(view, covered, profile, 5))


def test_every_image_on_its_own_has_its_mouth_in_view(lips):
    pytest.importorskip("mediapipe")
    _, bare, covered = lips
    observations, _ = seen([bare] * (LEARN_IMAGES + 2) + [covered] * 4, static=True)
    assert all(one.mouth_visible for one in observations if one is not None)


def test_a_hidden_mouth_comes_to_rest_and_back_without_a_jump():
    smile = EXPRESSION_NAMES.index("smile_left")
    blink = EXPRESSION_NAMES.index("blink_left")
    mouth, out = HiddenMouth(), []
    for k in range(60):
        read = np.zeros(len(EXPRESSION_NAMES))
        read[smile] = 0.6 if k < 18 or k >= 45 else 1.5  # from 18 on the hand is on its way
        read[blink] = 0.5
        out.append(mouth(read, not 20 <= k < 45, frame_stamp_ns(k)))
    out = np.stack(out)
    assert (out[:, blink] == 0.5).all()
    assert out[20, smile] == pytest.approx(0.6)  # what it was before
    assert (np.diff(out[20:45, smile]) <= 0.0).all()
    assert (out[20 + round(EASE_NS / 40e6) + 1 : 45, smile] == 0.0).all()
    assert np.abs(np.diff(out[44:, smile])).max() < 0.2
    assert out[-1, smile] == pytest.approx(0.6)


def test_a_mouth_hidden_from_the_first_image_on_is_at_rest(landmarks):
    hidden = FaceObservation(landmarks(vector(smile_left=0.8, jaw_open=0.5)), 0, False)
    values = UserMotionEstimator().update(hidden, 0).values
    assert not values[MOUTH].any()
