"""Streaming: causal, repeatable, cloneable, and equal to computing without a cache's help."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TINY, TINY_LATENT, part, roll, talk, tiny_engine, tiny_generator

from avatar_forcing_ros.config import ModelConfig, SamplingConfig
from avatar_forcing_ros.errors import GenerationError
from avatar_forcing_ros.model import attention, flow_transformer
from avatar_forcing_ros.model.audio_encoders import MelEncoder
from avatar_forcing_ros.streaming.audio_window import MelWindow
from avatar_forcing_ros.streaming.block_sampler import BlockSampler, block_noise
from avatar_forcing_ros.streaming.engine import BlockInput
from avatar_forcing_ros.streaming.kv_cache import empty_cache
from avatar_forcing_ros.streaming.state import Conditions, MotionState

BLOCKS = 9
FRAMES = BLOCKS * TINY.block_frames


def test_same_inputs_give_the_same_bits() -> None:
    given = talk(FRAMES)
    first, again = roll(tiny_engine(), given, BLOCKS), roll(tiny_engine(), given, BLOCKS)
    assert first.tobytes() == again.tobytes()


def test_another_seed_gives_another_motion() -> None:
    given = talk(FRAMES)
    other = tiny_engine(SamplingConfig(seed=1))
    assert not np.array_equal(roll(tiny_engine(), given, BLOCKS), roll(other, given, BLOCKS))


@pytest.mark.parametrize("stream", ["avatar_audio", "user_audio", "user_motion"])
def test_later_input_never_changes_earlier_output(stream: str) -> None:
    """Change one stream from block 5 on: blocks 0 to 4 stay, bit for bit; block 5 does not."""
    given, other = talk(FRAMES), talk(FRAMES, seed=1)
    change = 5 * TINY.block_frames
    whole = {name: getattr(given, name).copy() for name in BlockInput.__dataclass_fields__}
    at = change * (1 if stream == "user_motion" else 640)
    whole[stream][at:] = getattr(other, stream)[at:]
    before, after = (
        roll(tiny_engine(), given, BLOCKS),
        roll(tiny_engine(), BlockInput(**whole), BLOCKS),
    )
    assert before[:change].tobytes() == after[:change].tobytes()
    assert not np.array_equal(before[change:], after[change:])


def test_a_clone_goes_on_alone() -> None:
    engine, given = tiny_engine(), talk(FRAMES)
    state = engine.new_state()
    for k in range(3):
        engine.step(state, part(given, 5 * k, 5 * k + 5))
    copy = state.clone()
    there = engine.step(state, part(given, 15, 20)).latent
    engine.step(state, part(given, 20, 25))
    here = engine.step(copy, part(given, 15, 20)).latent
    assert here.tobytes() == there.tobytes()
    assert copy.motion.block == 4
    assert state.motion.block == 5


def test_conversations_on_one_engine_do_not_mix() -> None:
    engine, one, two = tiny_engine(), talk(FRAMES), talk(FRAMES, seed=3)
    states = engine.new_state(), engine.new_state()
    mixed: list[list[np.ndarray]] = [[], []]
    for k in range(BLOCKS):
        for who, given in enumerate((one, two)):
            block = engine.step(states[who], part(given, 5 * k, 5 * k + 5))
            mixed[who].append(block.latent)
    for who, given in enumerate((one, two)):
        alone = roll(tiny_engine(), given, BLOCKS)
        assert np.concatenate(mixed[who]).tobytes() == alone.tobytes()


def test_memory_stops_growing() -> None:
    engine, given = tiny_engine(), talk(5)
    state = engine.new_state()
    sizes = []
    for _ in range(8):
        engine.step(state, given)
        sizes.append(state.motion.cache.frames)
    assert sizes[0] == TINY.block_frames - TINY.look_ahead_frames
    assert max(sizes) == TINY.cache_frames == sizes[-1] == sizes[-2]


def test_position_does_not_matter() -> None:
    """The same memory at block 8 and, as if after a day, at block 10 million: the same bits."""
    engine, given = tiny_engine(), talk(FRAMES)
    state = engine.new_state()
    for k in range(8):
        engine.step(state, part(given, 5 * k, 5 * k + 5))
    drawn = torch.Generator().manual_seed(0)
    widths = (TINY.audio_dim, TINY.audio_dim, TINY.motion_dim)
    conditions = Conditions(*(torch.randn(1, 5, width, generator=drawn) for width in widths))
    noise = block_noise(0, 8, 5, TINY.motion_dim)
    near, _ = engine.sampler.next_blocks([state.motion], state.reference, conditions, noise)
    late = replace(state.motion, frame=50_000_000, block=10_000_000)
    far, (after,) = engine.sampler.next_blocks([late], state.reference, conditions, noise)
    assert torch.equal(near, far)
    assert after.frame == 50_000_005


def test_the_cache_remembers_what_recomputing_finds() -> None:
    """One layer of memory: keys of clean frames in the cache equal those computed afresh.

    In a one-block network a frame's keys depend on its own clean motion alone, so the cached
    path must give what the whole window, recomputed, gives.
    """
    config = replace(TINY, blocks=1)
    sampling = SamplingConfig(nfe=5, guidance="separate", audio_guidance=2.0)
    transformer = tiny_generator(config).flow_transformer
    with_cache = BlockSampler(transformer, sampling)
    without = BlockSampler(transformer, sampling, cached=False)
    # one embedding for all frames: the condition encoder looks at its whole window otherwise
    silence = [torch.zeros(1, 60, n) for n in (config.audio_dim,) * 2 + (config.motion_dim,)]
    reference = torch.randn(1, config.motion_dim, generator=torch.Generator().manual_seed(0))
    states = MotionState.empty(config, reference), MotionState.empty(config, reference)
    for k in range(7):
        conditions = Conditions(*(s[:, :5] for s in silence))
        noise = block_noise(0, k, 5, config.motion_dim)
        a, (one,) = with_cache.next_blocks([states[0]], reference, conditions, noise)
        b, (two,) = without.next_blocks([states[1]], reference, conditions, noise)
        torch.testing.assert_close(a, b, atol=2e-5, rtol=0)
        states = one, two


def test_only_clean_frames_are_committed() -> None:
    transformer = tiny_generator().flow_transformer
    x, timestep = torch.zeros(1, 5, TINY.motion_dim), torch.zeros(1, 5)
    reference, condition = x[:, 0], torch.zeros(1, 5, TINY.hidden_dim)
    _, keys = transformer(x, timestep, reference, condition)
    cache = empty_cache(TINY)
    assert cache.commit(keys, [0.0] * 5).frames == 3
    with pytest.raises(ValueError, match="clean"):
        cache.commit(keys, [0.0] * 4 + [125.0])


def test_the_cache_holds_the_keys_of_the_clean_motion() -> None:
    """Not of the noise that it was made from: computed from what came out, they are the same."""
    engine, frames = tiny_engine(SamplingConfig(guidance="joint")), TINY.block_frames
    state, silence = engine.new_state(), talk(frames)
    quiet = BlockInput(np.zeros_like(silence.avatar_audio))
    block = engine.step(state, quiet)
    clean = torch.from_numpy(block.latent)[None]  # [1, N, D]
    transformer = engine.generator.flow_transformer
    conditions = state.motion.past_conditions._asdict()
    condition = transformer.embed_conditions(**conditions)[:, -frames:]
    _, keys = transformer(clean, torch.zeros(1, frames), state.reference, condition)
    afresh = empty_cache(TINY).commit(keys, [0.0] * frames)
    for stored, expected in zip(state.motion.cache.tensors(), afresh.tensors(), strict=True):
        torch.testing.assert_close(stored, expected, atol=1e-5, rtol=0)
    noisy = block_noise(0, 0, frames, TINY.motion_dim)
    _, keys = transformer(noisy, torch.zeros(1, frames), state.reference, condition)
    assert not torch.allclose(
        keys[0].self_attention.key[:, :, :3], state.motion.cache.tensors()[0], atol=1e-2
    )


def test_a_failed_block_changes_nothing() -> None:
    engine, given = tiny_engine(), talk(FRAMES)
    state = engine.new_state()
    engine.step(state, part(given, 0, 5))
    motion, mel_before = state.motion, state.avatar_audio.mel
    short = BlockInput(part(given, 5, 10).avatar_audio, None, given.user_motion[:3])  # type: ignore[index]
    with pytest.raises(ValueError, match="user_motion lasts 3"):
        engine.step(state, short)
    assert state.motion is motion
    assert state.avatar_audio.mel is mel_before


@pytest.mark.parametrize("name", ["avatar_audio", "user_audio", "user_motion"])
@pytest.mark.parametrize("value", [1e30, -1e30, np.nan, np.inf])
def test_values_that_no_input_has_are_refused(name: str, value: float) -> None:
    """A square of 1e30 is infinite, and would be remembered for ever."""
    engine, given = tiny_engine(), talk(TINY.block_frames)
    getattr(given, name).flat[7] = value
    state = engine.new_state()
    motion = state.motion
    with pytest.raises(ValueError, match=f"{name}: expected finite values within"):
        engine.step(state, given)
    assert state.motion is motion
    engine.step(state, talk(TINY.block_frames))


def test_motion_that_is_not_finite_is_an_error_and_the_conversation_stays() -> None:
    engine, given = tiny_engine(), talk(2 * TINY.block_frames)
    state, sound = engine.new_state(), engine.new_state()
    engine.step(state, part(given, 0, 5))
    motion, mel_before = state.motion, state.avatar_audio.mel
    weight = engine.generator.flow_transformer.final_layer.linear.bias
    kept = weight.clone()
    weight[0] = float("nan")
    with pytest.raises(GenerationError, match=r"block 1: expected finite .* in 115 of 115"):
        engine.step(state, part(given, 5, 10))
    assert state.motion is motion
    assert state.avatar_audio.mel is mel_before
    weight.copy_(kept)
    engine.step(sound, part(given, 0, 5))
    again, expected = (engine.step(s, part(given, 5, 10)) for s in (state, sound))
    assert np.array_equal(again.latent, expected.latent)


def test_what_a_blocks_steps_share_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the conditions, the rotation of remembered keys, and masks."""
    engine, given = tiny_engine(SamplingConfig(nfe=6)), talk(FRAMES)
    state, counts = engine.new_state(), Counter[str]()
    for k in range(5):
        engine.step(state, part(given, 5 * k, 5 * k + 5))
    rotate, mask = attention.rotate, flow_transformer.self_attention_mask

    def counted_rotate(x: torch.Tensor, by: attention.Rotation) -> torch.Tensor:
        counts[f"rotated {x.shape[2]}"] += 1
        return rotate(x, by)

    def counted_mask(*arguments: Any) -> torch.Tensor:
        counts["masks"] += 1
        return mask(*arguments)

    monkeypatch.setattr(attention, "rotate", counted_rotate)
    monkeypatch.setattr(flow_transformer, "self_attention_mask", counted_mask)
    for block in engine.generator.flow_transformer.blocks:
        block.cross_attn.kv.register_forward_hook(lambda *_: counts.update(["kv"]))
    engine.step(state, part(given, 25, 30))
    passes, blocks = len(engine.sampler.steps) + 1, TINY.blocks
    present = TINY.block_frames + TINY.context_frames
    assert passes == 5
    assert counts == {
        "kv": blocks,
        "masks": 1,
        f"rotated {TINY.cache_frames}": blocks,
        f"rotated {present}": 2 * passes * blocks,
    }


def test_missing_user_streams_are_no_silence() -> None:
    """No microphone is another condition than a silent one."""
    given = talk(FRAMES)
    quiet = BlockInput(given.avatar_audio, np.zeros_like(given.avatar_audio), given.user_motion)
    absent = BlockInput(given.avatar_audio, None, given.user_motion)
    assert not np.array_equal(
        roll(tiny_engine(), quiet, BLOCKS), roll(tiny_engine(), absent, BLOCKS)
    )


def test_features_of_a_stream_are_those_of_the_whole_clip() -> None:
    given = talk(30)
    window, encoder = MelWindow(), tiny_generator().audio_encoder
    with torch.inference_mode():
        parts = [
            encoder(torch.from_numpy(window.push(part(given, k, k + 5).avatar_audio))[None])
            for k in range(0, 30, 5)
        ]
        whole = encoder(torch.from_numpy(MelWindow().push(given.avatar_audio))[None])
    assert whole.shape == (1, 30, TINY.audio_dim)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


def test_history_covers_the_encoders_reach() -> None:
    """An output depends on its own frame and 7 before; on nothing earlier, on nothing later."""
    encoder = tiny_generator().audio_encoder
    mel = torch.randn(1, 4 * (MelEncoder.HISTORY_FRAMES + 3), 80)
    with torch.inference_mode():
        base = encoder(mel)
        later = mel.clone()
        later[:, -4:] += 1.0  # the third output's own frame
        changed = encoder(later)
    assert torch.equal(base[:, :2], changed[:, :2])
    assert not torch.equal(base[:, 2], changed[:, 2])


def test_engine_runs_on_given_reference() -> None:
    engine, given = tiny_engine(), talk(TINY.block_frames)
    lifted = engine.new_state(np.full(TINY.motion_dim, 0.3, np.float32))
    there, here = engine.step(lifted, given), engine.step(engine.new_state(), given)
    assert not np.array_equal(there.latent, here.latent)


@pytest.mark.parametrize("config", [TINY, TINY_LATENT], ids=["rig", "latent"])
def test_a_block_that_was_given_out_may_be_written_to(config: ModelConfig) -> None:
    engine, given = tiny_engine(SamplingConfig(nfe=3), config=config), talk(60)
    given = replace(given, user_motion=None)
    state, spoilt, at = engine.new_state(), engine.new_state(), 0
    for _ in range(2):
        inputs = part(given, at, at + engine.frames(state))
        at += engine.frames(state)
        clean, block = engine.step(state, inputs), engine.step(spoilt, inputs)
        assert clean.latent.tobytes() == block.latent.tobytes()
        assert clean.motion.tobytes() == block.motion.tobytes()
        block.latent[:] = 99.0
        block.motion[:] = -99.0
    assert torch.equal(state.motion.context, spoilt.motion.context)
