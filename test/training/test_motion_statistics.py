"""Jerk at borders and drift, on motion that has a known amount of them."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_forcing_ros.training.metrics.motion_statistics import border_jerk, border_steps, drift


def test_borders_are_where_blocks_begin() -> None:
    at = border_steps(12, first_block=4, block=3)
    assert [t + 1 for t in np.flatnonzero(at)] == [4, 7, 10]
    shown = border_steps(10, first_block=4, block=3, skipped=2)  # frame 0 was the stream's 2
    assert [t + 1 for t in np.flatnonzero(shown)] == [2, 5, 8]


@pytest.mark.parametrize(("block", "wanted"), [(2, 1.0), (3, 2.0), (5, 4.0), (10, 9.0)])
def test_a_staircase(block: int, wanted: float) -> None:
    stairs = (np.arange(60 * block) // block)[:, None].astype(float)
    at = border_steps(len(stairs), block, block)
    # cut so that the ends of the clip do not hold half a block
    assert border_jerk([stairs], [at]).value == pytest.approx(wanted, rel=0.05)


def test_steps_of_random_size_are_seen_in_blocks_of_two() -> None:
    sizes = np.random.default_rng(0).standard_normal((4000, 3))
    stairs = np.repeat(np.cumsum(sizes, axis=0), 2, axis=0)
    found = border_jerk([stairs], [border_steps(len(stairs), 4, 2)]).value
    assert found == pytest.approx(2**0.5, rel=0.05)


@pytest.mark.parametrize("block", [2, 3, 5])
def test_motion_that_knows_no_blocks_has_one(block: int) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(4000)[:, None] * rng.uniform(0.05, 0.3, 6)
    walk = np.cumsum(rng.standard_normal((4000, 6)), axis=0)
    at = border_steps(4000, 2 * block, block)
    assert border_jerk([np.sin(times)], [at]).value == pytest.approx(1.0, abs=0.05)
    assert border_jerk([walk], [at]).value == pytest.approx(1.0, abs=0.05)


def test_without_borders_or_motion_there_is_no_figure() -> None:
    walk = np.cumsum(np.random.default_rng(0).standard_normal((40, 2)), axis=0)
    assert np.isnan(border_jerk([walk], [np.zeros(39, bool)]).value)
    assert np.isnan(border_jerk([np.zeros((40, 2))], [border_steps(40, 5, 5)]).value)


def test_drift_of_a_ramp_and_of_none() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3000, 2))
    ramp = noise + np.linspace(0.0, 3.0, 3000)[:, None] * [1.0, -1.0]
    moved, widened = drift([noise, ramp], 1000)
    assert moved[0] == pytest.approx(0.0, abs=0.1)
    assert moved[1] == pytest.approx(2.0, abs=0.1)  # the thirds' middles are 2/3 of it apart
    assert widened == pytest.approx([1.0, 1.0], abs=0.1)
    _, widened = drift([noise * np.linspace(1.0, 1.0 + 1e-9, 3000)[:, None] ** 1e9], 1000)
    assert widened[0] == pytest.approx(np.e ** (2 / 3), rel=0.1)
