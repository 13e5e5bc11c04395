"""Another way of sampling within conversations: what is kept, and what must not be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY, part, talk, tiny_engine

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.streaming.engine import KEPT_SAMPLERS, MotionEngine
from avatar_forcing_ros.streaming.kv_cache import empty_cache
from avatar_forcing_ros.streaming.state import StreamState

FRAMES = TINY.block_frames
HEARD = talk(8 * FRAMES)
PLAIN = SamplingConfig(nfe=3)
SEPARATE = SamplingConfig(nfe=3, guidance="separate", audio_guidance=2.0)
CLOSE = 2e-5


def stepped(engine: MotionEngine, state: StreamState, blocks: range) -> list[np.ndarray]:
    return [
        engine.step(state, part(HEARD, FRAMES * k, FRAMES * k + FRAMES)).latent for k in blocks
    ]


def test_a_sampler_is_made_once_for_each_way_of_sampling() -> None:
    """It keeps what a device recorded for it, which takes longer to make than a block."""
    engine = tiny_engine(PLAIN)
    plain = engine.sampler
    engine.set_sampling(SEPARATE)
    assert engine.sampler is not plain
    engine.set_sampling(replace(PLAIN, seed=5))  # every conversation has a seed of its own
    assert engine.sampler is plain
    assert engine.sampling.seed == engine.new_state().seed == 5
    engine.set_sampling(PLAIN)
    assert engine.sampler is plain
    assert engine.sampling.seed == 0


def test_only_the_samplers_used_last_are_kept() -> None:
    engine = tiny_engine(PLAIN)
    plain = engine.sampler
    others = [replace(PLAIN, nfe=4 + k) for k in range(2 * KEPT_SAMPLERS)]
    made = []
    for sampling in others:
        engine.set_sampling(sampling)
        made.append(engine.sampler)
        assert len(engine.sampler.steps) == sampling.nfe - 2
        engine.set_sampling(PLAIN)
        assert engine.sampler is plain
    newest = len(others) - (KEPT_SAMPLERS - 1)  # besides the plain one
    for sampling, sampler in list(zip(others, made, strict=True))[newest:]:
        engine.set_sampling(sampling)
        assert engine.sampler is sampler
    engine.set_sampling(others[newest - 1])
    assert engine.sampler is not made[newest - 1]


def test_one_conversation_may_have_gone_on_with_other_guidance_before_another() -> None:
    """Their memories are equally long, and of different guidance rows."""
    engine = tiny_engine(PLAIN)
    ahead, behind = engine.new_state(seed=0), engine.new_state(seed=1)
    for state in (ahead, behind):
        stepped(engine, state, range(4))
    engine.set_sampling(SEPARATE)
    stepped(engine, ahead, range(4, 7))
    assert ahead.motion.extent == behind.motion.extent
    copies = [ahead.clone(), behind.clone()]
    last = part(HEARD, 7 * FRAMES, 8 * FRAMES)
    blocks = engine.step_many([ahead, behind], [last, last])
    for block, copy in zip(blocks, copies, strict=True):
        np.testing.assert_allclose(
            block.latent, engine.step(copy, last).latent, atol=CLOSE, rtol=0
        )
    assert ahead.motion.cache.frames > behind.motion.cache.frames  # which has begun anew
    assert len(behind.motion.cache.shown) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_as_many_rows_that_were_shown_something_else_are_other_rows(order: int) -> None:
    """Separate guidance without the user's part, and joint guidance, have two rows each."""
    before, after = (
        replace(SEPARATE, user_guidance=0.0),
        replace(SEPARATE, guidance="joint"),
    )[::order]
    engine = tiny_engine(before)
    state = engine.new_state()
    stepped(engine, state, range(4))
    shown = state.motion.cache.shown
    fresh = state.clone()
    fresh.motion = replace(fresh.motion, cache=empty_cache(TINY))
    engine.set_sampling(after)
    assert len(engine.sampler.shown) == len(shown) == 2
    assert np.array_equal(stepped(engine, state, range(4, 6)), stepped(engine, fresh, range(4, 6)))
    assert state.motion.cache.shown == engine.sampler.shown != shown
