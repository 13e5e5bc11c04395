"""Blocks that are causal for good: nothing is computed twice, and memory is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY_CAUSAL, part, roll, talk, tiny_engine, tiny_generator

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.streaming.block_sampler import BlockSampler, block_noise
from avatar_forcing_ros.streaming.engine import BlockInput
from avatar_forcing_ros.streaming.state import Conditions, MotionState

BLOCKS, LENGTH = 12, TINY_CAUSAL.block_frames
FRAMES = BLOCKS * LENGTH


@pytest.mark.parametrize("stream", ["avatar_audio", "user_audio", "user_motion"])
def test_later_input_never_changes_earlier_output(stream: str) -> None:
    given, other = talk(FRAMES), talk(FRAMES, seed=1)
    change = 5 * LENGTH
    whole = {name: getattr(given, name).copy() for name in BlockInput.__dataclass_fields__}
    at = change * (1 if stream == "user_motion" else 640)
    whole[stream][at:] = getattr(other, stream)[at:]
    before, after = (
        roll(tiny_engine(config=TINY_CAUSAL), conditions, BLOCKS)
        for conditions in (given, BlockInput(**whole))
    )
    assert before[:change].tobytes() == after[:change].tobytes()
    # the very first frame of the block already answers
    assert not np.array_equal(before[change], after[change])


def test_memory_holds_every_frame_once_and_stops_growing() -> None:
    engine, given = tiny_engine(config=TINY_CAUSAL), talk(LENGTH)
    state = engine.new_state()
    sizes = []
    for _ in range(9):
        engine.step(state, given)
        sizes.append(state.motion.cache.frames)
        assert state.motion.context.shape[1] == 0
    assert sizes[:5] == [3, 6, 9, 12, 15]
    assert sizes[-1] == sizes[-2] == TINY_CAUSAL.cache_frames == 17


def test_what_is_remembered_is_what_recomputing_everything_finds() -> None:
    """Of a deep network too, because no key ever saw what came after its own block."""
    config = replace(TINY_CAUSAL, condition_history_frames=20)
    sampling = SamplingConfig(nfe=5, guidance="separate", audio_guidance=2.0)
    transformer = tiny_generator(config).flow_transformer
    assert len(transformer.blocks) > 1
    with_cache = BlockSampler(transformer, sampling)
    without = BlockSampler(transformer, sampling, cached=False)
    reference = torch.randn(1, config.motion_dim, generator=torch.Generator().manual_seed(0))
    states = MotionState.empty(config, reference), MotionState.empty(config, reference)
    drawn = torch.Generator().manual_seed(1)
    for k in range(6):  # as many as are remembered
        widths = (config.audio_dim, config.audio_dim, config.motion_dim)
        conditions = Conditions(*(torch.randn(1, LENGTH, n, generator=drawn) for n in widths))
        noise = block_noise(0, k, LENGTH, config.motion_dim)
        a, (one,) = with_cache.next_blocks([states[0]], reference, conditions, noise)
        b, (two,) = without.next_blocks([states[1]], reference, conditions, noise)
        torch.testing.assert_close(a, b, atol=2e-5, rtol=0)
        states = one, two


def test_one_network_runs_with_blocks_of_any_length() -> None:
    """Shorter and longer blocks are another way to run the same weights."""
    given = talk(FRAMES)
    for length in (2, 5, 10):
        config = replace(TINY_CAUSAL, block_frames=length, first_block_frames=length)
        motion = roll(tiny_engine(config=config), part(given, 0, 2 * length), 2)
        assert motion.shape == (2 * length, config.motion_dim)
        assert np.isfinite(motion).all()
