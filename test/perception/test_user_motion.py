"""A user's coefficients from landmarks: right in sign and size, causal, neutral at rest."""

import numpy as np
import pytest
from recovery import (
    coefficient_recovery,
    recovery_table,
    smooth_coefficients,
)

from avatar_forcing_ros.perception import user_motion
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import INDEX, vector
from avatar_forcing_ros.timebase import frame_stamp_ns

REST = coefficients.neutral()


def run(observations, **options):
    """Values ``[T, K]`` and face_visible ``[T]`` of a fresh estimator."""
    estimator = UserMotionEstimator(**options)
    motions = [estimator.update(o, frame_stamp_ns(t)) for t, o in enumerate(observations)]
    return np.stack([m.values for m in motions]), np.array([m.face_visible for m in motions])


def test_the_resting_face_of_anyone_is_neutral_from_the_first_frame(observe):
    """Not exactly: at first this face is read against the mean one, since it might be a smile."""
    values, visible = run([observe(REST)] * 3)
    assert visible.all()
    np.testing.assert_allclose(values[:, 3:], 0.0, atol=0.05)
    np.testing.assert_allclose(values[:, :3], 0.0, atol=0.05)  # yaw and roll need no reference


@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("head_yaw", 0.3), ("head_yaw", -0.3), ("head_pitch", 0.25), ("head_roll", -0.3),
        ("head_x", 0.2), ("head_y", 0.2), ("head_scale", 0.15), ("jaw_open", 0.6),
        ("lips_close", 0.8), ("mouth_pucker", 0.7), ("smile_left", 0.8), ("smile_right", 0.8),
        ("frown", 0.8), ("upper_lip_raise", 0.8), ("blink_left", 0.9), ("blink_right", 0.9),
        ("gaze_x", 0.7), ("gaze_y", -0.6), ("brow_up_left", 0.8), ("brow_up_right", 0.8),
        ("brow_furrow", 0.6),
    ],
)  # fmt: skip
def test_each_move_is_read_with_its_sign_and_size_as_itself(observe, name, amount):
    values, _ = run([observe(REST)] * 30 + [observe(vector(**{name: amount}))] * 8)
    last = values[-1]
    assert last[INDEX[name]] == pytest.approx(amount, rel=0.4)
    unit = np.abs(last / coefficients.HIGH)
    assert unit.argmax() == INDEX[name]


def test_smooth_motion_comes_back_by_geometry(landmarks):
    put = smooth_coefficients(250, seed=3)
    rng = np.random.default_rng(3)
    noisy = [landmarks(v) + rng.normal(0.0, 0.4, (478, 3)) for v in put]
    given, _ = run([FaceObservation(p.astype(np.float32), 0) for p in noisy])
    rows = coefficient_recovery(put, given)
    print("\n" + recovery_table(rows))
    for name in ("head_yaw", "head_pitch", "head_roll", "jaw_open", "blink", "gaze_x", "gaze_y"):
        assert rows[name].r > 0.94, name
        assert 0.8 < rows[name].slope < 1.3, name
    for name in ("smile", "brow_up", "lower_lip_down", "mouth_pucker"):
        assert rows[name].r > 0.75, name
    # the corners of people's open mouths come down: a frown counts fully only over a shut jaw
    assert rows["frown"].r > 0.55
    assert max(rows[name].lag_frames for name in ("head_yaw", "jaw_open", "blink")) <= 1


def test_a_frown_over_a_shut_jaw_comes_back_by_geometry(observe):
    put = smooth_coefficients(150, seed=3)
    put[:, [INDEX["jaw_open"], INDEX["lower_lip_down"]]] = 0.0
    given, _ = run([observe(v) for v in put])
    row = coefficient_recovery(put, given)["frown"]
    assert row.r > 0.8
    assert row.slope > 0.5


def test_the_corners_of_a_wide_open_mouth_are_no_frown(observe):
    """As people open it: the corners come down with the lip."""
    yawn = observe(vector(jaw_open=0.6, lower_lip_down=0.84, frown=0.6, mouth_wide=0.34))
    values, _ = run([observe(REST)] * 30 + [yawn] * 8)
    assert values[-1, INDEX["jaw_open"]] > 0.5
    assert values[-1, INDEX["lower_lip_down"]] > 0.25
    assert values[-1, INDEX["frown"]] < 0.2


def test_a_yawn_from_the_first_frame_on_leaves_the_resting_face_alone(observe):
    """The corners that come down with people's jaws are no part of their build."""
    yawn = observe(vector(jaw_open=0.6, lower_lip_down=0.84, frown=0.6, mouth_wide=0.34))
    values, _ = run([yawn] * 40 + [observe(REST)] * 4)
    print(values[[30, -1]][:, [INDEX["smile_left"], INDEX["jaw_open"], INDEX["frown"]]])
    assert values[30, INDEX["jaw_open"]] > 0.5
    for name in ("smile_left", "smile_right", "frown", "jaw_open"):
        assert values[-1, INDEX[name]] < 0.1, name


def test_rounded_lips_pull_the_corners_down_without_a_frown(observe):
    rounded = observe(vector(mouth_pucker=0.8, frown=0.5))
    values, _ = run([observe(REST)] * 30 + [rounded] * 8 + [observe(vector(frown=0.5))] * 8)
    assert values[37, INDEX["mouth_pucker"]] > 0.5
    assert values[37, INDEX["frown"]] < 0.15
    assert values[-1, INDEX["frown"]] > 0.3


def test_who_talks_from_the_first_frame_does_not_become_neutral_with_an_open_mouth(observe):
    syllables = 0.5 * np.abs(np.sin(np.arange(150) / 3.0)) * (np.arange(150) % 50 < 32)
    put = [vector(jaw_open=0.4)] + [vector(jaw_open=float(v)) for v in syllables]
    values, _ = run([observe(v) for v in put])
    jaw = values[75:, INDEX["jaw_open"]]
    assert jaw.min() < 0.05
    assert np.corrcoef(jaw, syllables[74:])[0, 1] > 0.95


def test_a_lost_face_holds_then_decays_to_neutral_in_a_second(observe):
    before = [observe(REST)] * 20 + [observe(vector(jaw_open=0.6, head_yaw=0.3))] * 10
    values, visible = run(before + [None] * 40)
    last = values[29]
    assert last[INDEX["jaw_open"]] > 0.4
    assert visible.sum() == 30
    lost_s = 0.04 * np.arange(1, 41)
    part = np.clip((lost_s - user_motion.HOLD_S) / user_motion.DECAY_S, 0.0, 1.0)
    expected = last[None] * (1.0 - part * part * (3.0 - 2.0 * part))[:, None]
    np.testing.assert_allclose(values[30:], expected, atol=1e-6)
    np.testing.assert_array_equal(values[30:34], np.repeat(last[None], 4, axis=0))
    assert not values[60:].any()


def test_a_face_that_comes_back_goes_on_from_where_the_decay_was(observe):
    held = observe(vector(head_yaw=0.4))
    values, _ = run([held] * 20 + [None] * 45 + [held] * 10)
    yaw = values[:, INDEX["head_yaw"]]
    assert yaw[64] == 0.0
    assert 0.0 < yaw[65] < 0.75 * yaw[19]  # a step is softened
    assert yaw[-1] == pytest.approx(yaw[19], abs=0.02)


def test_after_a_long_absence_the_user_is_met_afresh(observe, landmarks):
    other = FaceObservation(landmarks(REST) + np.float32([60.0, 0.0, 0.0]), 0)
    gap = round(user_motion.FORGET_S * 25) + 2
    near, _ = run([observe(REST)] * 60 + [None] * 10 + [other] * 8)
    fresh, _ = run([observe(REST)] * 60 + [None] * gap + [other] * 8)
    assert near[-1, INDEX["head_x"]] > 0.25
    assert abs(fresh[-1, INDEX["head_x"]]) < 0.02


def test_stamps_that_go_back_meet_the_user_afresh(observe):
    """A second recording, or a step of the clock, after a face had come back in the first."""
    held, estimator = observe(vector(head_yaw=0.2, smile_left=0.5)), UserMotionEstimator()
    again = UserMotionEstimator()
    for i, observation in enumerate([held] * 20 + [None] * 20 + [held] * 20):
        estimator.update(observation, 3_600_000_000_000 + frame_stamp_ns(i))
    for i in range(20):
        stamp_ns = frame_stamp_ns(i)
        values = estimator.update(held, stamp_ns).values
        assert np.array_equal(values, again.update(held, stamp_ns).values)


def test_who_takes_the_floor_is_met_afresh(observe, landmarks):
    """Another face elsewhere, without a gap: its own rest and place are neutral, after a while."""
    first = vector(head_yaw=0.2, smile_left=0.5)
    other = landmarks(REST) * [1.0, 0.9, 1.0] * 1.4 + [400.0, 30.0, 0.0]
    elsewhere = FaceObservation(other.astype(np.float32), 0)
    values, visible = run([observe(REST)] * 20 + [observe(first)] * 10 + [elsewhere] * 15)
    assert visible.all()
    assert np.abs(np.diff(values[28:], axis=0)).max() < 0.25  # nothing jumps
    np.testing.assert_allclose(values[-1, 3:], 0.0, atol=0.03)


def test_landmarks_that_are_no_face_count_as_a_lost_face(observe, landmarks):
    broken = landmarks(REST).copy()
    broken[5] = np.nan
    dot = np.full((478, 3), 7.0, np.float32)
    mirrored = landmarks(REST) * np.float32([-1.0, 1.0, 1.0])
    lost = [FaceObservation(points, 0) for points in (broken, dot, mirrored)]
    values, visible = run([observe(REST)] * 3 + lost)
    assert visible.tolist() == [True] * 3 + [False] * 3
    assert np.isfinite(values).all()


def test_a_first_frame_in_mid_blink_is_not_taken_for_open_eyes(observe):
    shut = vector(blink_left=1.0, blink_right=1.0)
    values, _ = run([observe(shut)] + [observe(REST)] * 10 + [observe(shut)] * 3)
    blinks = values[:, [INDEX["blink_left"], INDEX["blink_right"]]]
    assert blinks[0].min() > 0.8
    assert blinks[10].max() < 0.1
    assert blinks[-1].min() > 0.8


def test_never_seen_is_neutral():
    values, visible = run([None] * 5)
    assert not values.any()
    assert not visible.any()


def test_later_frames_never_change_earlier_motion(observe):
    put = smooth_coefficients(60, seed=5)
    seen = [observe(v) for v in put]
    first, _ = run(seen)
    second, _ = run(seen[:40] + [None] * 5 + seen[10:25])
    np.testing.assert_array_equal(first[:40], second[:40])
    assert (first[40:] != second[40:]).any()


def test_two_estimators_agree_and_share_nothing(observe):
    seen = [observe(v) for v in smooth_coefficients(30, seed=6)]
    one, other = UserMotionEstimator(), UserMotionEstimator()
    for t, observation in enumerate(seen):
        a = one.update(observation, frame_stamp_ns(t))
        if t % 2 == 0:
            other.update(None, frame_stamp_ns(t))
        del a
    expected, _ = run(seen)
    one.reset()
    again = [one.update(o, frame_stamp_ns(t)).values for t, o in enumerate(seen)]
    np.testing.assert_array_equal(np.stack(again), expected)


def test_values_stay_within_the_rigs_ranges(observe):
    wild = [vector(head_yaw=1.2, head_x=1.0, jaw_open=1.0, smile_left=2.0)] * 10
    values, _ = run([observe(REST)] * 5 + [observe(v) for v in wild])
    assert (values >= coefficients.LOW).all()
    assert (values <= coefficients.HIGH).all()
