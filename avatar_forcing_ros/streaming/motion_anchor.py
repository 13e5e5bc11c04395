"""Keeps the slow part of the motion near the reference over hours of conversation.

A generator that conditions on its own output can walk away from where it was trained: each block
is plausible beside the one before, and after minutes the pose is nowhere near the portrait's.
What moves fast is left alone; only the slow mean is held, and only outside of a dead band around
the reference. It is pulled back over seconds, without a jump, before the clean frames are
remembered, so the model's own memory comes back with it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from avatar_forcing_ros.config import AnchorConfig
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

SPREAD_TO_MEAN_TIME = 4.0  # the usual range is learned this many times slower than the mean
MEAN_TO_RECENT_TIME = 4.0  # and around a mean this many times faster, or drift would widen it


class AnchorState(NamedTuple):
    """Running moments of each motion channel; tensors so that conversations can be batched."""

    mean: Tensor  # [B, D] slow mean
    recent: Tensor  # [B, D] faster mean
    variance: Tensor  # [B, D] around the faster mean, over a long time
    frames: Tensor  # [B, 1] so far, float

    @classmethod
    def new(cls, reference: Tensor) -> AnchorState:
        """At the reference ``[B, D]``, before any motion."""
        start = reference.float()
        return cls(start, start, torch.zeros_like(start), start.new_zeros(len(start), 1))


class MotionAnchor:
    """A restoring force with a dead band on the slow mean of motion.

    A drift of d a second ends at about the dead band plus d times the mean's time, instead of
    nowhere.
    """

    def __init__(self, config: AnchorConfig) -> None:
        self.config = config

    def hold(
        self, motion: Tensor, reference: Tensor, state: AnchorState
    ) -> tuple[Tensor, AnchorState]:
        """The block `motion` ``[B, N, D]``, pulled to `reference` ``[B, D]`` where it strayed.

        The pull begins at zero at the block's border and grows along the block. Within the dead
        band, and until a mean's worth of frames has passed, the motion stays as it is, bit for
        bit.
        """
        frames = motion.shape[1]
        mean_frames = self.config.mean_s * FRAME_RATE_HZ
        after = _moved(state, motion, mean_frames)
        strayed = after.mean - reference.float()  # [B, D]
        band = self.config.dead_band * after.variance.sqrt()
        excess = strayed - strayed.clamp(-band, band)  # [B, D], zero inside the band
        ready = (after.frames >= mean_frames).float()  # [B, 1]
        part = 1.0 - math.exp(-frames / (self.config.return_s * FRAME_RATE_HZ))
        ramp = torch.arange(1, frames + 1, device=motion.device) / frames  # [N]
        pull = (part * ready * excess)[:, None] * ramp[:, None]  # [B, N, D]
        # the means are moved along, or they would go on asking for what has been given
        given = part * ready * excess
        after = after._replace(mean=after.mean - given, recent=after.recent - given)
        return motion - pull, after


def _moved(state: AnchorState, motion: Tensor, mean_frames: float) -> AnchorState:
    """`state` after the frames of `motion` ``[B, N, D]``."""
    frames = motion.shape[1]
    total = state.frames + frames

    def weight(over_frames: float) -> Tensor:
        """Early on all frames weigh alike, later the newest decide: ``[B, 1]``."""
        return torch.clamp(frames / total, min=1.0 - math.exp(-frames / over_frames))

    now = motion.mean(dim=1)
    mean = state.mean + weight(mean_frames) * (now - state.mean)
    recent = state.recent + weight(mean_frames / MEAN_TO_RECENT_TIME) * (now - state.recent)
    spread = (motion - recent[:, None]).square().mean(dim=1)
    variance = state.variance + weight(mean_frames * SPREAD_TO_MEAN_TIME) * (
        spread - state.variance
    )
    return AnchorState(mean, recent, variance, total)
