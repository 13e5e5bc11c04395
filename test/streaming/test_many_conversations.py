"""One set of weights, many conversations: a batch gives what single runs give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY, part, talk, tiny_engine

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.state import StreamState

BLOCKS = 8
FRAMES = BLOCKS * TINY.block_frames
CLOSE = 2e-5  # sums are taken in another order where the batch is larger


def inputs_of(who: int) -> BlockInput:
    """Each conversation has other inputs; some lack the user's audio or motion."""
    given = talk(FRAMES, seed=who)
    if who % 3 == 1:
        return replace(given, user_audio=None)
    return replace(given, user_motion=None) if who % 3 == 2 else given


def rolled(engine: MotionEngine, states: list[StreamState], blocks: range) -> list[np.ndarray]:
    out: list[list[np.ndarray]] = [[] for _ in states]
    for k in blocks:
        inputs = [part(inputs_of(who), 5 * k, 5 * k + 5) for who in range(len(states))]
        for who, block in enumerate(engine.step_many(states, inputs)):
            out[who].append(block.latent)
    return [np.concatenate(latents) for latents in out]


@pytest.mark.parametrize("guidance", ["joint", "separate"])
def test_a_batch_gives_what_single_runs_give(guidance: str) -> None:
    engine = tiny_engine(SamplingConfig(guidance=guidance, audio_guidance=2.0))
    faces = np.random.default_rng(0).normal(0, 0.3, (4, TINY.motion_dim)).astype(np.float32)
    together = [engine.new_state(face, seed=k) for k, face in enumerate(faces)]
    batch = rolled(engine, together, range(BLOCKS))
    for who, face in enumerate(faces):
        state, alone = engine.new_state(face, seed=who), []
        for k in range(BLOCKS):
            alone.append(engine.step(state, part(inputs_of(who), 5 * k, 5 * k + 5)).latent)
        np.testing.assert_allclose(batch[who], np.concatenate(alone), atol=CLOSE, rtol=0)
    assert not np.allclose(batch[0], batch[3], atol=0.1)


def test_conversations_of_different_age_are_stepped_together() -> None:
    engine, given = tiny_engine(), talk(FRAMES)
    young, old, alone = (engine.new_state() for _ in range(3))
    for k in range(3):
        engine.step(old, part(given, 5 * k, 5 * k + 5))
    mixed = []
    for k in range(3):
        blocks = engine.step_many(
            [young, old], [part(given, 5 * k, 5 * k + 5), part(given, 15 + 5 * k, 20 + 5 * k)]
        )
        mixed.append([block.latent for block in blocks])
    expected = [engine.step(alone, part(given, 5 * k, 5 * k + 5)).latent for k in range(6)]
    for k in range(3):
        np.testing.assert_allclose(mixed[k][0], expected[k], atol=CLOSE, rtol=0)
        np.testing.assert_allclose(mixed[k][1], expected[3 + k], atol=CLOSE, rtol=0)
    assert (young.motion.block, old.motion.block) == (3, 6)


def test_one_short_input_stops_the_whole_step_before_it_begins() -> None:
    engine, given = tiny_engine(), talk(5)
    states = [engine.new_state(), engine.new_state()]
    with pytest.raises(ValueError, match="avatar_audio lasts 4 frames, the block 5"):
        engine.step_many(states, [given, BlockInput(given.avatar_audio[: 4 * 640])])
    assert [state.motion.block for state in states] == [0, 0]


def test_sampling_may_change_within_a_conversation() -> None:
    """More or fewer steps keep the memory; other guidance rows begin a new one."""
    engine, given = tiny_engine(SamplingConfig(nfe=6)), talk(FRAMES)
    state, same = engine.new_state(), engine.new_state()
    for k in range(4):
        engine.step(state, part(given, 5 * k, 5 * k + 5))
        engine.step(same, part(given, 5 * k, 5 * k + 5))
    remembered = state.motion.cache.frames
    engine.set_sampling(SamplingConfig(nfe=3))
    fewer = engine.step(state, part(given, 20, 25)).latent
    assert state.motion.cache.frames >= remembered
    engine.set_sampling(SamplingConfig(nfe=6))
    assert not np.array_equal(fewer, engine.step(same, part(given, 20, 25)).latent)
    engine.set_sampling(SamplingConfig(guidance="separate", audio_guidance=2.0))
    block = engine.step(state, part(given, 25, 30))
    assert np.isfinite(block.latent).all()
    assert len(state.motion.cache.shown) == 3
