"""An encoder that looks around itself: past features are known better once its future has come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY_LATENT, part, talk, tiny_engine

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.streaming.audio_window import WaveWindow
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.streaming.state import Conditions

FIRST, FRAMES = TINY_LATENT.first_block_frames, TINY_LATENT.block_frames
PAST = TINY_LATENT.condition_history_frames
INPUTS = talk(FIRST + 4 * FRAMES, config=TINY_LATENT)
FEW = SamplingConfig(nfe=3)


def block_of(k: int) -> slice:
    """The frames of block `k`."""
    return slice(0, FIRST) if k == 0 else slice(FIRST + (k - 1) * FRAMES, FIRST + k * FRAMES)


def features_of(audio: np.ndarray, block: int, engine: MotionEngine) -> torch.Tensor:
    """The encoder's features of its window's newest frames at `block`, with PAST before them."""
    window = WaveWindow()
    for k in range(block + 1):
        given = window.push(audio[block_of(k).start * 640 : block_of(k).stop * 640])
    with torch.inference_mode():
        features = engine.generator.audio_encoder(torch.from_numpy(given)[None])
    return features[:, -FRAMES - PAST :]


@pytest.mark.parametrize("without", [None, "user_audio"])
def test_the_past_is_reported_as_it_is_once_its_future_is_known(
    without: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = tiny_engine(FEW, config=TINY_LATENT)
    solve, passed = engine.sampler.next_blocks, []

    def noted(states, reference, conditions, noise):
        passed.append(states[0].past_conditions)
        return solve(states, reference, conditions, noise)

    monkeypatch.setattr(engine.sampler, "next_blocks", noted)
    state = engine.new_state()
    for k in range(3):
        known = state.motion.past_conditions
        given = part(INPUTS, block_of(k).start, block_of(k).stop)
        if k == 2 and without:
            given = replace(given, **{without: None})
        engine.step(state, given)
    last: Conditions = passed[-1]
    assert last.frames == PAST
    for name in ("avatar_audio", "user_audio"):
        before, now = getattr(known, name), getattr(last, name)
        if name == without:  # there is no input now, and nothing new is known of who was
            assert torch.equal(now, before)
            continue
        better = features_of(getattr(INPUTS, name), 2, engine)[:, :PAST]
        torch.testing.assert_close(now, better, atol=1e-6, rtol=0)
        assert not torch.allclose(now, before, atol=1e-4)
    assert torch.equal(last.user_motion, known.user_motion)


def test_who_has_no_audio_keeps_their_own_past_beside_whom_it_may_be() -> None:
    """Alone there is no input at all; in a batch the others' features have another length."""
    engine = tiny_engine(FEW, config=TINY_LATENT)
    together = [engine.new_state(seed=k) for k in range(2)]
    alone = engine.new_state(seed=0)
    for k in range(4):
        given = part(INPUTS, block_of(k).start, block_of(k).stop)
        mine = replace(given, user_audio=None) if k in (1, 2) else given
        block, _ = engine.step_many(together, [mine, given])
        expected = engine.step(alone, mine)
        np.testing.assert_allclose(block.latent, expected.latent, atol=2e-5, rtol=0)
        pairs = zip(together[0].motion.past_conditions, alone.motion.past_conditions, strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, atol=2e-5, rtol=0)
