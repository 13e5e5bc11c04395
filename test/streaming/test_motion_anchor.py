"""One pull of the anchor, by numbers; hours of them are in test_endless."""

from __future__ import annotations

import pytest
import torch

from avatar_forcing_ros.config import AnchorConfig
from avatar_forcing_ros.streaming.motion_anchor import AnchorState, MotionAnchor

FRAMES, CHANNELS = 5, 3
WIDE, NARROW = (AnchorConfig(dead_band=band, mean_s=0.4, return_s=0.4) for band in (1e6, 0.5))


def strayed(frames: float) -> tuple[torch.Tensor, torch.Tensor, AnchorState]:
    """A block's motion around 2, the reference 0, and moments of `frames` so far."""
    drawn = torch.Generator().manual_seed(0)
    motion = 2.0 + 0.1 * torch.randn(1, FRAMES, CHANNELS, generator=drawn)
    ones = torch.ones(1, CHANNELS)
    return (
        motion,
        0.0 * ones,
        AnchorState(1.5 * ones, 1.8 * ones, 0.04 * ones, ones[:, :1] * frames),
    )


def test_means_are_moved_along_with_what_was_pulled() -> None:
    """Or they would go on asking for what has been given."""
    motion, reference, state = strayed(100.0)
    free, updated = MotionAnchor(WIDE).hold(motion, reference, state)
    held, after = MotionAnchor(NARROW).hold(motion, reference, state)
    assert torch.equal(free, motion)
    given = (motion - held)[:, -1]  # the pull has grown to its whole by the block's last frame
    assert (given > 0.1).all()
    torch.testing.assert_close(after.mean, updated.mean - given)
    torch.testing.assert_close(after.recent, updated.recent - given)
    assert torch.equal(after.variance, updated.variance)


def test_a_pull_grows_evenly_from_the_blocks_border() -> None:
    motion, reference, state = strayed(100.0)
    held, _ = MotionAnchor(NARROW).hold(motion, reference, state)
    pull = (motion - held)[0]
    steps = torch.diff(pull, dim=0, prepend=torch.zeros(1, CHANNELS))
    torch.testing.assert_close(steps, pull[-1:].expand(FRAMES, -1) / FRAMES)


@pytest.mark.parametrize(("frames", "pulled"), [(4.0, False), (5.0, True)])
def test_nothing_is_pulled_before_a_means_worth_of_frames(frames: float, pulled: bool) -> None:
    motion, reference, state = strayed(frames)
    held, _ = MotionAnchor(NARROW).hold(motion, reference, state)
    assert torch.equal(held, motion) != pulled
