import numpy as np
import pytest

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.perception.video_motion import at_frame_rate, track_frames
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, vector

MS = 1_000_000


def frame(stamp_ms, value=0):
    return VideoFrame(np.full((2, 2, 3), value, np.uint8), stamp_ms * MS)


def stamps_ms(frames):
    return [None if f is None else f.stamp_ns // MS for f in frames]


class ScriptedTracker:
    """Sees a face that turns by a hundredth of a radian for each grey level; none at 255."""

    def __init__(self, landmarks):
        self.landmarks, self.tracked = landmarks, []

    def track(self, frame):
        level = int(frame.pixels[0, 0, 0])
        self.tracked.append(frame.stamp_ns // MS)
        if level == 255:
            return None
        return FaceObservation(self.landmarks(vector(head_yaw=level / 100)), frame.stamp_ns)

    def close(self):
        raise AssertionError("a tracker that was given is not ours to close")


def test_each_tick_takes_the_newest_earlier_picture():
    slow = [frame(s) for s in (1000, 1066, 1133, 1200)]
    assert stamps_ms(at_frame_rate(slow)) == [1000, 1000, 1066, 1066, 1133, 1200]
    fast = [frame(s) for s in (0, 16, 33, 50, 66, 83)]
    assert stamps_ms(at_frame_rate(fast)) == [0, 33, 66]


def test_before_the_first_picture_and_long_after_one_there_is_none():
    assert stamps_ms(at_frame_rate([frame(80)], start_ns=0)) == [None, None, 80]
    gap = stamps_ms(at_frame_rate([frame(0), frame(800)]))
    assert gap[12] == 0
    assert gap[13:20] == [None] * 7
    assert gap[20] == 800
    assert list(at_frame_rate([])) == []


def test_stamps_that_go_back_are_refused():
    with pytest.raises(MediaError, match="rising order"):
        list(at_frame_rate([frame(40), frame(0)]))


def test_a_video_becomes_motion_and_each_picture_is_tracked_once(landmarks):
    tracker = ScriptedTracker(landmarks)
    values, visible = track_frames([frame(80 * i, 2 * i) for i in range(10)], tracker)
    assert values.shape == (19, COUNT)
    assert values.dtype == np.float32
    assert visible.all()
    assert tracker.tracked == [80 * i for i in range(10)]
    assert values[-1, INDEX["head_yaw"]] == pytest.approx(0.18, abs=0.06)


def test_later_pictures_never_change_earlier_motion(landmarks):
    def run(levels):
        frames = [frame(40 * i, level) for i, level in enumerate(levels)]
        return track_frames(frames, ScriptedTracker(landmarks))

    one, _ = run([0, 3, 9, 12, 20, 25, 30])
    other, seen = run([0, 3, 9, 12, 255, 255, 5])
    np.testing.assert_array_equal(one[:4], other[:4])
    assert seen.tolist() == [True] * 4 + [False] * 2 + [True]


def test_no_pictures_are_no_motion(landmarks):
    values, visible = track_frames([], ScriptedTracker(landmarks))
    assert values.shape == (0, COUNT)
    assert visible.shape == (0,)
