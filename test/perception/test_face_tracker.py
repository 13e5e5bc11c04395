"""The face tracker by MediaPipe: which face it takes, where landmarks lie, what it refuses."""

import builtins
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from face_backends import MODEL_PATHS

from avatar_forcing_ros.errors import FaceNotFoundError, MediaError, MissingDependencyError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import (
    RESCAN_EVERY,
    FaceMeshTracker,
    choose_face,
    same_face,
)
from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.perception.landmarker_backend import STEP_MS
from avatar_forcing_ros.perception.landmarker_file import MODEL_PATH_VARIABLE, fetched_file
from avatar_forcing_ros.perception.mediapipe_import import quiet_mediapipe
from avatar_forcing_ros.rig.face_landmarks import CHIN, EYE_LEFT, EYE_RIGHT, NOSE_TIP

pytest.importorskip("mediapipe")
data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module", params=MODEL_PATHS, autouse=True)
def interface(request):
    """Each test runs with each interface of MediaPipe that is here."""
    path = MODEL_PATHS[request.param]
    with pytest.MonkeyPatch.context() as patch:
        if path:
            patch.setenv(MODEL_PATH_VARIABLE, path)
        else:
            patch.delenv(MODEL_PATH_VARIABLE, raising=False)
        yield request.param


@pytest.fixture(scope="module")
def photo():
    return data.astronaut()  # [512, 512, 3], a face about 90 pixels wide


@pytest.fixture(scope="module")
def photo_face(photo, interface):
    return find_face(photo)


def on_canvas(photo, height, width, top, left):
    canvas = np.full((height, width, 3), 90, np.uint8)
    canvas[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    return canvas


def test_landmarks_lie_on_the_face_with_the_near_side_negative(photo_face):
    assert photo_face.shape == (478, 3)
    assert photo_face.dtype == np.float32
    right, left = photo_face[EYE_RIGHT.outer], photo_face[EYE_LEFT.outer]
    assert 180 < right[0] < left[0] < 270  # the person's left is the image's right
    assert 90 < left[1] < photo_face[NOSE_TIP, 1] < photo_face[CHIN, 1] < 190
    assert photo_face[NOSE_TIP, 2] < left[2]


def test_a_tight_face_is_found_where_it_is(photo, photo_face):
    low = photo_face[:, :2].min(0).astype(int) + 3
    high = photo_face[:, :2].max(0).astype(int) - 3
    tight = np.ascontiguousarray(photo[low[1] : high[1], low[0] : high[0]])
    found = find_face(tight)[:, :2] + low
    assert np.abs(found - photo_face[:, :2]).mean() < 2.0


def test_a_small_face_is_found_where_it_is(photo, photo_face):
    found = find_face(on_canvas(photo, 1000, 1500, 400, 900))[:, :2] - [900, 400]
    assert np.abs(found - photo_face[:, :2]).mean() < 1.0


def test_a_image_without_a_face_is_refused_with_a_remedy():
    with pytest.raises(FaceNotFoundError, match=r"portrait: expected .* got 160x120 .*; take"):
        find_face(np.full((120, 160, 3), 128, np.uint8))


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)],
)
def test_what_is_no_image_is_refused(pixels):
    with pytest.raises(MediaError, match="uint8 RGB"):
        find_face(pixels)


def test_the_largest_face_wins(photo, photo_face):
    head = photo[20:240, 120:330]  # [220, 210, 3]
    canvas = np.full((240, 400, 3), 90, np.uint8)
    canvas[:220, 190:] = head
    small = cv2.resize(head, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    canvas[40 : 40 + len(small), 20 : 20 + small.shape[1]] = small
    tracker = FaceMeshTracker()
    for stamp in range(3):
        seen = tracker.track(VideoFrame(canvas, stamp))
    tracker.close()
    assert seen is not None
    assert np.abs(seen.landmarks_px[:, :2] - [70, -20] - photo_face[:, :2]).mean() < 2.0


def crowd(photo, third=None):
    """Two people of the same size at the borders; a `third` of that size times 1.6 between."""
    head = photo[20:240, 120:330]  # [220, 210, 3]
    small = cv2.resize(head, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    canvas = np.full((288, 512, 3), 90, np.uint8)
    for left in (2, 510 - small.shape[1]):
        canvas[2 : 2 + len(small), left : left + small.shape[1]] = small
    if third:
        large = cv2.resize(small, None, fx=third, fy=third, interpolation=cv2.INTER_CUBIC)
        left = 256 - large.shape[1] // 2
        canvas[40 : 40 + len(large), left : left + large.shape[1]] = large[: 288 - 40]
    return canvas


@pytest.mark.parametrize(("third", "taken"), [(1.6, True), (1.15, False)])
def test_a_nearer_third_person_gets_the_floor_while_two_are_tracked(photo, third, taken):
    """MediaPipe itself looks for nobody new while it has two."""
    tracker = FaceMeshTracker()
    for stamp in range(3):
        before = tracker.track(VideoFrame(crowd(photo), stamp)).landmarks_px
    canvas = crowd(photo, third)
    seen = [tracker.track(VideoFrame(canvas, stamp)) for stamp in range(RESCAN_EVERY + 5)]
    tracker.close()
    assert all(one is not None for one in seen)  # the floor is passed on without a gap
    after = seen[-1].landmarks_px
    if taken:
        assert abs(after[:, 0].mean() - 256) < 30
        assert np.ptp(after[:, 0]) > 1.4 * np.ptp(before[:, 0])
        assert same_face(after, seen[-5].landmarks_px)
    else:
        assert same_face(after, before)


def test_a_face_stays_chosen_until_another_is_clearly_larger():
    one = np.zeros((478, 3), np.float32)
    one[1] = 100.0
    near = (one * 1.2 + [300, 0, 0]).astype(np.float32)
    larger = (one * 1.5 + [300, 0, 0]).astype(np.float32)
    assert choose_face([one, near], None) is near
    assert choose_face([near, one], one) is one
    assert choose_face([one, larger], one) is larger
    assert choose_face([near], one) is near
    assert choose_face([], one) is None


def test_the_same_frames_give_the_same_landmarks_from_fresh_trackers(photo):
    def run():
        tracker = FaceMeshTracker()
        frames = [np.roll(photo, 2 * i, axis=1) for i in range(5)]
        seen = [tracker.track(VideoFrame(f, 40 * i)) for i, f in enumerate(frames)]
        tracker.close()
        assert [s.stamp_ns for s in seen] == [0, 40, 80, 120, 160]
        return np.stack([s.landmarks_px for s in seen])

    np.testing.assert_array_equal(run(), run())


def test_no_face_is_none_and_the_face_comes_back(photo):
    tracker = FaceMeshTracker()
    blank = np.zeros_like(photo)
    seen = [tracker.track(VideoFrame(f, i)) for i, f in enumerate((blank, photo, blank, photo))]
    assert [s is not None for s in seen] == [False, True, False, True]
    tracker.close()
    tracker.close()  # harmless


def test_nothing_is_written_to_standard_error(photo, capfd):
    tracker = FaceMeshTracker()
    for stamp in range(3):
        tracker.track(VideoFrame(photo, stamp))
    tracker.close()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_other_lines_on_standard_error_pass(capfd):
    with quiet_mediapipe():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nmine\n")
    assert capfd.readouterr().err == "mine\n"


def test_without_mediapipe_the_error_names_the_command(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "mediapipe":
            raise ImportError("No module named 'mediapipe'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "mediapipe", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install '?mediapipe"):
        FaceMeshTracker()


def test_perception_can_be_imported_without_mediapipe():
    code = (
        "import sys; sys.modules['mediapipe'] = None\n"
        "import avatar_forcing_ros.perception.face_tracker\n"
        "import avatar_forcing_ros.perception.user_motion\n"
        "import avatar_forcing_ros.streaming.codec\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def fake_mediapipe(calls):
    """A mediapipe that has only FaceLandmarker, as the releases without `solutions`."""

    class Landmarker:
        @classmethod
        def create_from_options(cls, options):
            calls.append(options)
            if not os.path.exists(options.base_options.model_asset_path):
                raise RuntimeError("Unable to open file")
            return cls()

        def detect_for_video(self, image, time_ms):
            calls.append(time_ms)
            point = SimpleNamespace(x=0.5, y=0.25, z=-0.1)
            return SimpleNamespace(face_landmarks=[[point] * 478])

        def close(self):
            calls.append("closed")

    vision = SimpleNamespace(
        FaceLandmarker=Landmarker,
        FaceLandmarkerOptions=lambda **kw: SimpleNamespace(**kw),
        RunningMode=SimpleNamespace(IMAGE="image", VIDEO="video"),
    )
    tasks = SimpleNamespace(vision=vision, BaseOptions=lambda **kw: SimpleNamespace(**kw))
    return SimpleNamespace(
        __version__="1.0",
        tasks=tasks,
        Image=lambda **kw: kw,
        ImageFormat=SimpleNamespace(SRGB=1),
    )


def test_without_models_in_mediapipe_the_model_file_is_used(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setitem(sys.modules, "mediapipe", fake_mediapipe(calls))
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"model")
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(model))
    tracker = FaceMeshTracker()
    frames = [VideoFrame(np.zeros((40, 80, 3), np.uint8), 7) for _ in range(2)]
    seen = [tracker.track(frame) for frame in frames]
    tracker.close()
    np.testing.assert_allclose(seen[0].landmarks_px[3], [40.0, 10.0, -8.0])
    assert seen[0].stamp_ns == 7
    # times rise although the stamps do not, in steps too long for MediaPipe's smoothing
    assert calls[1:] == [STEP_MS, 2 * STEP_MS, "closed"]
    with pytest.raises(MediaError, match=r"absent\.task"):
        FaceMeshTracker(model_path="absent.task")


def test_without_models_and_without_a_file_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mediapipe", fake_mediapipe([]))
    monkeypatch.delenv(MODEL_PATH_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(MediaError, match=f"weights fetch face.*{MODEL_PATH_VARIABLE}"):
        FaceMeshTracker()


def test_without_models_and_without_a_name_the_fetched_file_is_used(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setitem(sys.modules, "mediapipe", fake_mediapipe(calls))
    monkeypatch.delenv(MODEL_PATH_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    fetched_file().parent.mkdir(parents=True)
    fetched_file().write_bytes(b"model")
    FaceMeshTracker().close()
    assert calls[0].base_options.model_asset_path == str(fetched_file())


def test_a_library_that_the_system_lacks_is_named(monkeypatch, tmp_path):
    mediapipe = fake_mediapipe([])

    def fail(_):
        raise OSError("libEGL.so.1: cannot open shared object file: No such file or directory")

    mediapipe.tasks.vision.FaceLandmarker.create_from_options = fail
    monkeypatch.setitem(sys.modules, "mediapipe", mediapipe)
    with pytest.raises(MissingDependencyError, match=r"libEGL.*apt install libegl1 libgles2"):
        FaceMeshTracker(model_path="some.task")


def test_a_face_is_found_in_a_very_large_image_and_a_strip_is_survived():
    """Landmarks are in the image's own pixels, however far it was shrunk for the search."""
    photo = data.astronaut()
    large = cv2.resize(photo, None, fx=8, fy=8, interpolation=cv2.INTER_LINEAR)
    small_px, large_px = find_face(photo), find_face(large)
    assert np.abs(large_px[:, :2] / 8 - small_px[:, :2]).max() < 4.0
    for height, width in ((20, 2000), (5, 20000), (20000, 5)):
        with pytest.raises(FaceNotFoundError, match=f"{width}x{height}"):
            find_face(np.zeros((height, width, 3), np.uint8))
