"""Coefficients read off latents: exact where they are a linear function, reported where not."""

from __future__ import annotations

import numpy as np

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.streaming.latent_codec import fit_to_renders, random_poses


def test_a_linear_code_is_read() -> None:
    mixing = np.random.default_rng(0).normal(size=(coefficients.COUNT, 30)).astype(np.float32)
    regression, _, fit = fit_to_renders(lambda poses: poses @ mixing + 3.0, 120, 40)
    assert min(fit.values()) > 0.95  # the ridge takes its share
    pose = coefficients.vector(head_yaw=0.2, jaw_open=0.5)[None]
    found = regression(pose @ mixing + 3.0)
    assert abs(found[0, INDEX["head_yaw"]] - 0.2) < 0.03
    assert abs(found[0, INDEX["jaw_open"]] - 0.5) < 0.08


def test_what_the_code_does_not_hold_is_reported() -> None:
    """A code of yaw alone: yaw is read, nothing else is claimed."""
    yaw = INDEX["head_yaw"]
    _, _, fit = fit_to_renders(lambda poses: poses[:, [yaw]], 64, 64)
    assert fit["head_yaw"] > 0.99
    others = [abs(r) for name, r in fit.items() if name != "head_yaw"]
    assert max(others) < 0.5


def test_results_stay_within_the_rigs_ranges() -> None:
    regression, _, _ = fit_to_renders(lambda poses: poses, 64, 16)
    far = regression(np.full((1, coefficients.COUNT), 100.0, np.float32))
    assert (far <= coefficients.HIGH).all()


def test_poses_are_the_same_every_time_and_within_range() -> None:
    poses = random_poses(50)
    assert np.array_equal(poses, random_poses(50))
    assert ((poses >= coefficients.LOW) & (poses <= coefficients.HIGH)).all()
    assert 0.3 < (poses != 0).mean() < 0.7
