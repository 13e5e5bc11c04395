"""The sides of a face move a little apart: how much, when, and always in the same way."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_forcing_ros.media import MotionBlock
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX
from avatar_forcing_ros.streaming.asymmetry import drift, uneven

MINUTE = 1500
PAIRS = ("smile", "brow_up", "blink")
SIDES = [INDEX[f"{name}_{side}"] for name in PAIRS for side in ("left", "right")]


def block(motion: np.ndarray, first: int = 0) -> MotionBlock:
    return MotionBlock(first // 3, first, motion.copy(), motion, 0.0)


def minute(seed: int = 0) -> np.ndarray:
    """A minute of motion whose sides are one: smiles, raised brows and blinks that come and go."""
    rng = np.random.default_rng(seed)
    motion = rng.normal(0.0, 0.05, (MINUTE, COUNT)).astype(np.float32)
    time = np.arange(MINUTE)
    for name, count, frames, height in (
        ("smile", 14, 30.0, 0.4), ("brow_up", 16, 12.0, 0.5), ("blink", 20, 3.0, 1.0),
    ):  # fmt: skip
        peaks = rng.uniform(0, MINUTE, count)
        curve = height * np.exp(-(((time[:, None] - peaks) / frames) ** 2)).max(1)
        for side in ("left", "right"):
            motion[:, INDEX[f"{name}_{side}"]] = curve
    return motion


def sides_r(motion: np.ndarray, name: str) -> float:
    left, right = motion[:, INDEX[f"{name}_left"]], motion[:, INDEX[f"{name}_right"]]
    return float(np.corrcoef(left, right)[0, 1])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("smile", 0.86, 0.97), ("brow_up", 0.86, 0.97), ("blink", 0.95, 0.995)],
)  # fmt: skip
def test_the_sides_correlate_as_in_people(name: str, low: float, high: float) -> None:
    found = [sides_r(uneven(block(minute(seed)), seed).motion, name) for seed in range(40)]
    assert low < np.median(found) < high
    assert min(found) > low - 0.15


def test_blocks_of_any_length_give_the_same_bits() -> None:
    motion = minute()[:90]
    whole = uneven(block(motion), 7).motion
    parts = [uneven(block(motion[k : k + 3], k), 7).motion for k in range(0, 90, 3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    # and a conversation that is taken up in the middle
    np.testing.assert_array_equal(uneven(block(motion[41:], 41), 7).motion, whole[41:])


def test_the_result_is_fixed() -> None:
    """The same on every machine and in every version: recordings are replayed bit for bit."""
    expected = [0.782004, 0.776756, 0.770709, 0.763876]
    np.testing.assert_allclose(drift(3, 1, 100, 4), expected, atol=1e-6)


def test_seeds_and_channels_drift_on_their_own() -> None:
    curves = np.stack([drift(seed, channel, 0, 6000) for seed in range(4) for channel in range(3)])
    r = np.corrcoef(curves)
    assert np.abs(r[~np.eye(len(r), dtype=bool)]).max() < 0.3
    assert np.abs(curves.mean(1)).max() < 0.15
    assert np.abs(curves).max() <= 1.0


def test_a_held_face_stays_calm() -> None:
    """Nothing jumps from frame to frame, at no block's border, after an hour neither."""
    still = np.full((3000, COUNT), 0.3, np.float32)
    for first in (0, 90_000):
        moved = uneven(block(still, first), 11).motion
        assert np.abs(np.diff(moved, axis=0)).max() < 0.015
        assert np.abs(moved[:, SIDES] - 0.3).max() > 0.03


def test_a_face_at_rest_and_all_other_coefficients_stay_as_they_are() -> None:
    motion = minute()
    moved = uneven(block(motion), 5)
    others = [k for k in range(COUNT) if k not in SIDES]
    np.testing.assert_array_equal(moved.motion[:, others], motion[:, others])
    np.testing.assert_array_equal(moved.latent, motion)  # what the generator remembers
    rest = np.zeros((50, COUNT), np.float32)
    np.testing.assert_array_equal(uneven(block(rest), 5).motion, rest)


def test_lids_that_are_shut_or_open_stay_so() -> None:
    lids = np.zeros((400, COUNT), np.float32)
    sides = [INDEX["blink_left"], INDEX["blink_right"]]
    lids[::2, sides] = 1.0
    np.testing.assert_array_equal(uneven(block(lids), 1).motion, lids)
    lids[:, sides] = np.linspace(0.0, 1.0, 400)[:, None]
    between = uneven(block(lids), 1).motion[:, sides]
    assert between.min() >= 0.0
    assert between.max() <= 1.0


def test_the_mean_of_both_sides_is_the_generators() -> None:
    motion = minute()
    moved = uneven(block(motion), 2).motion
    for name in ("smile", "brow_up"):
        sides = [INDEX[f"{name}_left"], INDEX[f"{name}_right"]]
        np.testing.assert_allclose(moved[:, sides].mean(1), motion[:, sides].mean(1), atol=1e-6)


def test_the_block_that_is_given_is_not_written_to() -> None:
    motion = minute()
    before = motion.copy()
    uneven(block(motion), 0)
    np.testing.assert_array_equal(motion, before)
