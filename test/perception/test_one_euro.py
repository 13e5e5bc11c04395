"""The One-Euro filter: smooth at rest, less than a frame late in motion, the first value as is."""

import numpy as np

from avatar_forcing_ros.perception.user_motion import OneEuroFilter


def test_noise_at_rest_shrinks():
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.01, (400, 3))
    smooth = OneEuroFilter(3.0, 1.0)
    out = np.stack([smooth(v) for v in noise])
    assert (out[50:].std(0) < 0.6 * noise[50:].std(0)).all()


def test_motion_lags_less_than_a_frame():
    wave = np.sin(2 * np.pi * 1.0 * np.arange(200) / 25)[:, None]
    smooth = OneEuroFilter(5.0, 4.0)
    out = np.stack([smooth(v) for v in wave])[:, 0]
    fits = [np.corrcoef(out[50:150], wave[50 - lag : 150 - lag, 0])[0, 1] for lag in (0, 1, 2)]
    assert np.argmax(fits) <= 1
    assert fits[0] > 0.99


def test_the_first_value_passes_also_after_a_reset():
    smooth = OneEuroFilter(1.0, 0.0)
    np.testing.assert_array_equal(smooth(np.array([2.0])), [2.0])
    assert 2.0 < smooth(np.array([3.0]))[0] < 2.5
    smooth.reset()
    np.testing.assert_array_equal(smooth(np.array([5.0])), [5.0])
