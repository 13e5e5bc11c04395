"""Block-wise sampling at the released model's size gives the reference's numbers (set F).

One test for everything between noise and motion: condition encoder, transformer, masks, rotary
positions, schedule, guidance, both caches and the hand-over from block to block.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conformance.conftest import close, stored
from conformance.inputs import NoiseSource

from avatar_forcing_ros.config import PAPER_MODEL, PRESETS
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.streaming.block_sampler import BlockSampler
from avatar_forcing_ros.streaming.state import Conditions, MotionState

MOST, RMS = 1e-4, 1e-5


def sampled(
    transformer: FlowTransformer,
    conditions: dict[str, np.ndarray],
    reference: np.ndarray,
    evaluations: int,
    noise_seed: int,
) -> np.ndarray:
    """Motion ``[1, T, 512]`` from the stored conditions, as long as the avatar's audio."""

    sampling = replace(PRESETS["paper"].sampling, nfe=evaluations)
    sampler, noise = BlockSampler(transformer, sampling), NoiseSource(noise_seed)
    total = conditions["avatar_wa"].shape[1]
    basis = stored("A_motion_encoder")["Q"]
    user_motion = (conditions["user_lam"] @ basis.T)[None]
    # what is shorter than the blocks is continued by its last frame
    padded = [
        torch.from_numpy(np.pad(p, ((0, 0), (0, total + 60 - p.shape[1]), (0, 0)), "edge"))
        for p in (conditions["avatar_wa"], conditions["user_wa"], user_motion)
    ]
    portrait = torch.from_numpy(reference)
    state, out = MotionState.empty(PAPER_MODEL, portrait), []
    while state.frame < total:
        frames = sampler.frames(state)
        here = Conditions(*(c[:, state.frame : state.frame + frames] for c in padded))
        drawn = torch.from_numpy(noise(1, frames, PAPER_MODEL.motion_dim))
        block, (state,) = sampler.next_blocks([state], portrait, here, drawn)
        out.append(block)
    return torch.cat(out, 1)[:, :total].numpy()


@pytest.mark.parametrize(("evaluations", "noise_seed"), [(10, 1601), (4, 1602)])
def test_sampled_motion(transformer: FlowTransformer, evaluations: int, noise_seed: int) -> None:
    expected = stored("F_sample")
    found = sampled(transformer, expected, expected["r_s"], evaluations, noise_seed)
    close(found, expected[f"nfe{evaluations}"], MOST, RMS)


def test_inputs_of_unequal_length(transformer: FlowTransformer) -> None:
    """57 frames, no multiple of the block; the user's video ends after 49 of them."""
    expected = stored("F_sample_edge")
    found = sampled(transformer, expected, stored("F_sample")["r_s"], 4, 1603)
    close(found, expected["nfe4"], MOST, RMS)
