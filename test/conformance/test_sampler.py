"""Block-wise sampling at the released model's size gives the reference's numbers (set F).

One test for everything between noise and motion: condition encoder, transformer, masks, rotary
positions, schedule, guidance, both caches and the hand-over from block to block.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from conformance.fill import fill_deterministic, values

from avatar_forcing_ros.config import PAPER_MODEL, SamplingConfig
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.streaming.block_sampler import BlockSampler
from avatar_forcing_ros.streaming.state import Conditions, MotionState

EVALUATIONS = 4
NOISE_SEED = 1602
PASS_MAX, PASS_RMS = 1e-4, 1e-5


def directions() -> np.ndarray:
    """The orthonormal motion directions ``[512, 20]``."""
    weight = values("motion_autoencoder.dec.direction.weight", (512, 20))
    return np.linalg.qr(weight + np.float32(1e-8))[0]


def test_sampled_motion_is_the_references() -> None:
    with np.load(Path(__file__).parent / "F_sample.npz") as stored:
        told = {name: stored[name] for name in stored.files}
    transformer = FlowTransformer(PAPER_MODEL).eval().requires_grad_(False)
    named = ((f"flow_transformer.{n}", p) for n, p in transformer.named_parameters())
    fill_deterministic(named)
    sampler = BlockSampler(
        transformer,
        SamplingConfig(EVALUATIONS, 1.0, "separate", audio_guidance=2.0, user_guidance=1.0),
    )
    user_motion = (told["user_lam"] @ directions().T)[None]
    conditions = [
        torch.from_numpy(np.pad(part, ((0, 0), (0, 10), (0, 0)), "edge"))
        for part in (told["avatar_wa"], told["user_wa"], user_motion)
    ]
    noise = np.random.Generator(np.random.PCG64(NOISE_SEED))
    state, out = MotionState.empty(PAPER_MODEL, torch.zeros(1)), []
    while state.frame < 90:
        frames = sampler.frames(state)
        here = Conditions(*(c[:, state.frame : state.frame + frames] for c in conditions))
        drawn = torch.from_numpy(noise.standard_normal((1, frames, 512), dtype=np.float32))
        block, state = sampler.next_block(state, torch.from_numpy(told["r_s"]), here, drawn)
        out.append(block)
    error = torch.cat(out, 1)[:, :90].numpy() - told[f"nfe{EVALUATIONS}"]
    assert np.abs(error).max() <= PASS_MAX
    assert np.sqrt(np.square(error).mean()) <= PASS_RMS
