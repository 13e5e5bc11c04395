"""A conversation may go on for ever: flat memory, and motion that does not walk away."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY, talk, tiny_engine

from avatar_forcing_ros.config import AnchorConfig, SamplingConfig
from avatar_forcing_ros.streaming.motion_anchor import AnchorState, MotionAnchor

FEW = SamplingConfig(nfe=3)
SMALLEST = replace(TINY, blocks=1, hidden_dim=8, audio_dim=4, condition_history_frames=2)


def live_tensors() -> tuple[int, int]:
    """How many tensors there are, and their bytes."""
    gc.collect()
    alive = [o for o in gc.get_objects() if issubclass(type(o), torch.Tensor)]
    return len(alive), sum(t.untyped_storage().nbytes() for t in alive)


def test_memory_is_flat_over_thousands_of_blocks() -> None:
    """Blocks 100 and 3,000 leave the same number of tensors, of the same size."""
    engine, given = tiny_engine(FEW, config=SMALLEST), talk(5, config=SMALLEST)
    state, after = engine.new_state(), {}
    for block in range(1, 3_001):
        latent = engine.step(state, given).latent
        if block in (100, 3_000):
            after[block] = live_tensors()
    assert after[100] == after[3_000]
    assert state.motion.frame == 15_000
    assert np.isfinite(latent).all()


def rolled(
    drift: float | list[float], anchor: MotionAnchor | None, blocks: int, start: float = 0.0
) -> np.ndarray:
    """Motion ``[5 blocks, 4]`` of a model that goes on from where it is, and a bit further.

    It drifts by `drift` a frame, beside a wobble of deviation 1 around its slow path.
    """
    rng = np.random.default_rng(0)
    step = torch.tensor(drift).expand(4)
    reference = torch.full((1, 4), start)
    state, slow, out = AnchorState.new(reference), reference, []
    for _ in range(blocks):
        wobble = torch.from_numpy(rng.standard_normal((1, 5, 4), dtype=np.float32))
        made = slow[:, None] + torch.arange(1, 6)[None, :, None] * step + wobble
        held = made
        if anchor:
            held, state = anchor.hold(made, reference, state)
        slow = slow + 5 * step + (held - made)[:, -1]
        out.append(held[0].numpy())
    return np.concatenate(out)


@pytest.fixture
def anchor() -> MotionAnchor:
    return MotionAnchor(AnchorConfig())


MINUTES = 25 * 60 // 5  # blocks


def test_a_drifting_model_is_held_near_the_reference(anchor: MotionAnchor) -> None:
    """Half an hour of a drift that alone would lead 90 usual ranges away."""
    free = rolled(0.002, None, 30 * MINUTES)
    held = rolled(0.002, anchor, 30 * MINUTES)
    slow = held.reshape(-1, 250, 4).mean(axis=1)  # means of 10 s
    assert free[-250:].mean() > 80.0
    assert np.abs(slow).max() < 3.5
    assert abs(slow[-1].mean() - slow[len(slow) // 2].mean()) < 0.2  # it has come to rest


def test_holding_is_not_seen_as_a_jump(anchor: MotionAnchor) -> None:
    """Of a drift that is more than twice as fast: the pull's own steps from frame to frame."""
    held = rolled(0.005, anchor, 5 * MINUTES)
    alone = rolled(0.0, None, 5 * MINUTES)  # the same wobble
    assert np.abs(np.diff(held - alone, axis=0)).max() < 0.1
    assert np.abs(held[-1500:]).max() < 10.0  # of which the wobble alone reaches 4
    assert rolled(0.005, None, 5 * MINUTES)[-1].mean() > 35.0


def test_within_the_dead_band_nothing_is_touched(anchor: MotionAnchor) -> None:
    assert rolled(0.0, anchor, 5 * MINUTES).tobytes() == rolled(0.0, None, 5 * MINUTES).tobytes()


def test_channels_are_held_on_their_own_around_the_reference(anchor: MotionAnchor) -> None:
    drift = [0.002, -0.002, 0.0, 0.0]
    held = rolled(drift, anchor, 10 * MINUTES, start=30.0)
    alone = rolled(drift, None, 10 * MINUTES, start=30.0)
    assert held[:, 2:].tobytes() == alone[:, 2:].tobytes()
    up, down = (held[-250:, k].mean() - 30.0 for k in (0, 1))
    assert 1.5 < up < 3.5
    assert -3.5 < down < -1.5


def test_the_anchor_works_within_the_engine() -> None:
    """What is published, the context and the keys all come back together."""
    config = AnchorConfig(dead_band=0.01, mean_s=0.4, return_s=0.2)
    engine, given = tiny_engine(FEW, anchor=config), talk(5)
    free, state = tiny_engine(FEW), engine.new_state()
    loose = free.new_state()
    for _ in range(4):
        held, alone = engine.step(state, given).latent, free.step(loose, given).latent
    assert not np.array_equal(held, alone)
    assert np.array_equal(state.motion.context[0].numpy(), held[-TINY.look_ahead_frames :])
    off = tiny_engine(FEW, anchor=replace(config, enabled=False))
    state = off.new_state()
    for _ in range(4):
        again = off.step(state, given).latent
    assert np.array_equal(again, alone)
