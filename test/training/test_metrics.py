"""Metrics on motion whose values are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, POSE
from avatar_forcing_ros.training.metrics import behaviour, motion_statistics, synchrony
from avatar_forcing_ros.training.metrics.bootstrap import (
    difference,
    estimate,
    mean_of,
    resamples,
    share,
)

FRAMES = 300


def still(frames: int = FRAMES) -> NDArray[np.float32]:
    return np.zeros((frames, COUNT), np.float32)


def moving(seed: int, frames: int = FRAMES) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((frames, COUNT)).astype(np.float32)


def test_an_interval_of_a_mean_covers_it_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for k in range(200):
        found = estimate(mean_of(rng.normal(5.0, 2.0, 40)), resamples(40, seed=k, count=400))
        covered += found.low <= 5.0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_difference_is_taken_on_the_same_clips() -> None:
    values = np.random.default_rng(0).normal(0.0, 10.0, 30)
    gap = difference(mean_of(values + 1.0), mean_of(values), resamples(30))
    np.testing.assert_allclose(gap, 1.0)


def test_figures_that_do_not_exist_are_no_numbers() -> None:
    nothing = estimate(share(np.zeros((3, 2))), resamples(3))
    assert np.isnan(nothing).all()
    assert mean_of(np.array([1.0, np.nan, 3.0])).value == 2.0


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_a_delayed_copy_of_the_jaw_has_that_lag(late: int) -> None:
    truth = [moving(k) for k in range(3)]
    made = [0.5 * np.roll(clip, late, axis=0) + 0.1 for clip in truth]
    r, lag = synchrony.lip_sync(made, truth, [np.ones(FRAMES, bool)] * 3)
    assert lag.value == late
    assert r.value == pytest.approx(1.0 if late == 0 else 0.0, abs=0.1)
    assert estimate(lag, resamples(3)) == (late, late, late)


def test_only_the_time_around_speech_counts_for_lips() -> None:
    truth, made = still(), still()
    jaw = moving(0)[:, 0]
    speaking = np.zeros(FRAMES, bool)
    speaking[100:150] = True
    truth[:, INDEX["jaw_open"]] = jaw
    made[:, INDEX["jaw_open"]] = np.where(np.arange(FRAMES) < 80, -jaw, jaw)
    r, _ = synchrony.lip_sync([made], [truth], [speaking])
    assert r.value == pytest.approx(1.0)
    r, _ = synchrony.lip_sync([made], [truth], [np.ones(FRAMES, bool)])
    assert r.value < 0.7


def test_lips_that_meet_are_counted() -> None:
    motion = still()
    motion[[26, 51, 99], INDEX["lips_close"]] = 0.9  # 26 is a frame late, 99 belongs to a vowel
    spoken = [
        (1.00, 1.04, "m"), (2.00, 2.08, "ˈb"), (3.00, 3.08, "p"), (3.96, 4.00, "ɑ"),
        (5.00, 5.01, "m"),  # too short to be seen
        (-0.1, 0.05, "b"), (11.9, 12.3, "b"),  # cut
    ]  # fmt: skip
    assert synchrony.bilabial_closure([motion], [spoken]).value == pytest.approx(2 / 3)


def test_an_avatar_like_the_true_one_has_no_residual() -> None:
    user = [moving(k) for k in range(4)]
    late = [np.roll(clip, 8, axis=0) for clip in user]
    truth = synchrony.correlation_sums(user, late)
    scaled = synchrony.correlation_sums(user, [3.0 * clip + 1.0 for clip in late])
    unrelated = synchrony.correlation_sums(user, [moving(k + 50) for k in range(4)])
    assert synchrony.residual_correlation(scaled, truth, POSE).value == pytest.approx(0, abs=1e-9)
    # one lag of 26 has r 1, which the unrelated one lacks; the others are noise
    assert 0.03 < synchrony.residual_correlation(unrelated, truth, POSE).value < 0.15
    assert synchrony.correlations(truth.sum(0))[8].min() > 0.9
    drawn = resamples(4)
    gap = difference(
        synchrony.residual_correlation(unrelated, truth, POSE),
        synchrony.residual_correlation(scaled, truth, POSE),
        drawn,
    )
    assert gap.low > 0


def test_a_mirrored_answer_counts_as_one() -> None:
    user = [np.cumsum(moving(k), axis=0) for k in range(4)]
    mirrored = synchrony.correlation_sums(user, [-0.3 * clip for clip in user])
    still_one = synchrony.correlation_sums(user, [still() for _ in user])
    responses = synchrony.response_correlation(mirrored, mirrored, POSE)
    assert responses.value > 0.6
    assert synchrony.response_correlation(still_one, mirrored, POSE).value == 0.0
    assert np.isnan(synchrony.response_correlation(still_one, still_one, POSE).value)


def test_the_distance_of_two_gaussians() -> None:
    """|Δμ|² + Σ (σ₁ - σ₂)² for independent coefficients."""
    rng = np.random.default_rng(0)
    spread = np.array([1.0, 2.0, 0.5])
    one = [rng.standard_normal((20_000, 3)) for _ in range(4)]
    other = [spread * rng.standard_normal((20_000, 3)) + [3.0, 0.0, 0.0] for _ in range(4)]
    wanted = 9.0 + np.square(spread - 1.0).sum()
    found = motion_statistics.frechet_distance(one, other)
    assert found.value == pytest.approx(wanted, rel=0.02)
    assert motion_statistics.frechet_distance(one, one).value == pytest.approx(0.0, abs=1e-6)
    again = estimate(found, resamples(4))
    assert again.low <= found.value <= again.high


def test_diversity_of_all_clusters_alike_and_of_one() -> None:
    centres = np.arange(8.0)[:, None] * 10.0
    alike = np.repeat(centres, 25, axis=0)
    assert motion_statistics.diversity([alike], centres).value == pytest.approx(3.0)
    assert motion_statistics.diversity([np.zeros((50, 1))], centres).value == 0.0
    assert motion_statistics.diversity([alike, np.zeros((50, 1))], centres).value == pytest.approx(
        1.5
    )


def test_clusters_are_found_and_are_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    frames = [np.repeat([[0.0], [5.0], [10.0]], 40, axis=0) + 0.01 * rng.standard_normal((120, 1))]
    found = motion_statistics.clusters(frames, 3)
    np.testing.assert_allclose(np.sort(found[:, 0]), [0.0, 5.0, 10.0], atol=0.02)
    np.testing.assert_array_equal(found, motion_statistics.clusters(frames, 3))


def test_variance_is_within_clips() -> None:
    flat = [np.full((50, 2), level) for level in (0.0, 100.0)]
    assert motion_statistics.variance(flat).value == 0.0
    wave = np.stack([np.tile([1.0, -1.0], 25), np.zeros(50)], axis=1)
    assert motion_statistics.variance([wave]).value == pytest.approx(0.5)
    assert motion_statistics.spread_of(flat) == pytest.approx([50.0, 50.0])


def test_people_are_counted() -> None:
    face, user = still(1500), still(1500)  # a minute
    for start in (100, 400, 900):
        face[start : start + 4, [INDEX["blink_left"], INDEX["blink_right"]]] = 1.0
    for start in (200, 300):
        face[start:, INDEX["gaze_x"]] += 0.2  # quick
    face[600:700, INDEX["gaze_y"]] = np.linspace(0.0, 0.5, 100)  # slow
    face[700:, INDEX["gaze_y"]] = 0.5
    nod = 0.1 * np.hanning(11)
    face[500:511, INDEX["head_pitch"]] += nod  # while the user speaks
    face[1200:1211, INDEX["head_pitch"]] += nod  # while the avatar does
    rise = np.clip(np.arange(1500) - 800, 0, 10) / 10
    user[:, [INDEX["smile_left"], INDEX["smile_right"]]] = 0.6 * rise[:, None]
    face[:, [INDEX["smile_left"], INDEX["smile_right"]]] = np.roll(0.6 * rise, 10)[:, None]
    user_speaks, avatar_speaks = np.zeros(1500, bool), np.zeros(1500, bool)
    user_speaks[250:975], avatar_speaks[1000:] = True, True
    clip = behaviour.Clip(face, user, avatar_speaks, user_speaks)
    assert behaviour.blinks_per_min([clip]).value == 3
    assert behaviour.gaze_shifts_per_min([clip]).value == 2
    assert behaviour.listening(clip).sum() == 750
    assert behaviour.nods_per_min([clip]).value == pytest.approx(2.0)  # one in half a minute
    assert behaviour.smile_reaction_lag_ms([clip]).value == 400
    turning = still(51)
    turning[:, INDEX["head_yaw"]] = np.linspace(0.0, np.pi, 51)
    speed = behaviour.head_speed_deg_s(
        [behaviour.Clip(turning, turning, *[np.zeros(51, bool)] * 2)]
    )
    assert speed.value == pytest.approx(90.0, rel=1e-3)
