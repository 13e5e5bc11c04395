"""Targets and losses as stated: what is drawn, what is seen, what an error costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY, TINY_CAUSAL, tiny_generator

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.model.attention import condition_mask
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.training.dataset import ConversationWindows
from avatar_forcing_ros.training.losses import (
    Corruption,
    channel_scales,
    draw_block_length,
    draw_condition_masks,
    draw_corruption,
    draw_timesteps,
    flow_matching_loss,
    frame_weight,
    roughness,
    streaming_horizon,
    velocity_error,
)
from avatar_forcing_ros.training.settings import TrainingConfig

CPU = torch.device("cpu")


def test_a_block_shares_its_timestep_and_context_is_clean() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = draw_timesteps(200, TINY, 1.0, generator)
    blocks = drawn.unflatten(1, (-1, TINY.block_frames))
    assert (blocks == blocks[..., :1]).all()
    clean = blocks[..., 0] == 0.0
    assert (clean.int().diff(dim=1) <= 0).all()  # clean blocks first, then noisy ones
    assert not clean.all(dim=1).any()
    assert len(clean.sum(dim=1).unique()) == blocks.shape[1]
    never = draw_timesteps(200, TINY, 0.0, generator)
    assert (never == 0).float().mean() < 0.01


def test_conditions_are_seen_as_in_a_stream() -> None:
    """Own block and the history before it: what the sampler's window holds, and no future."""
    for offset in (0, 2):
        seen = condition_mask(20, 5, 7, CPU, offset)
        for frame in range(20):
            start = frame - (frame + offset) % 5
            columns = seen[frame].nonzero()[:, 0].tolist()
            assert columns == list(range(max(0, start - 7), min(start + 5, 20)))


def test_training_embeds_conditions_as_the_stream_does() -> None:
    """With the mask a block's embedding is that of its streaming window; without, far from it.

    Exactly so for the first block. Later ones differ a little: frames of the history are
    embedded once here, and once more with each new block there.
    """
    config = replace(TINY, condition_history_frames=2)
    transformer = tiny_generator(config).flow_transformer
    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randn(1, TINY.window_frames, width, generator=generator)
        for width in (TINY.audio_dim, TINY.motion_dim, TINY.audio_dim)
    ]
    masked = transformer.embed_conditions(
        *parts, mask=condition_mask(TINY.window_frames, 5, 2, CPU)
    )
    unmasked = transformer.embed_conditions(*parts)

    def error(clip: torch.Tensor, start: int) -> float:
        first = max(0, start - 2)
        window = transformer.embed_conditions(*(p[:, first : start + 5] for p in parts))
        return float((clip[:, start : start + 5] - window[:, start - first :]).abs().mean())

    assert error(masked, 0) < 1e-6
    for start in (5, 15):
        assert error(masked, start) < 0.5 * error(unmasked, start)


def test_dropped_conditions_come_in_the_combinations_that_guidance_asks_for() -> None:
    keep = draw_condition_masks(20_000, 0.1, torch.Generator().manual_seed(0))
    avatar, audio, motion = (
        keep[name][:, 0, 0].bool() for name in ("avatar_audio", "user_audio", "user_motion")
    )
    assert 0.7 < avatar.float().mean() < 0.85
    for case in (~avatar & ~audio & ~motion, avatar & ~audio & ~motion, ~avatar & audio & motion):
        assert case.float().mean() > 0.03


def test_frames_being_made_do_not_see_the_next_block() -> None:
    """As in a stream: new frames see their block's end, clean ones the look-ahead beyond it."""
    transformer = tiny_generator().flow_transformer
    timestep = torch.full((1, TINY.window_frames), 400.0)
    timestep[:, :5] = 0.0
    horizon = streaming_horizon(timestep, TINY)
    assert horizon[0, :10].tolist() == [TINY.window_frames] * 5 + [9] * 5
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, TINY.window_frames, TINY.motion_dim, generator=generator)
    condition = torch.randn(1, TINY.window_frames, TINY.hidden_dim, generator=generator)

    def run() -> torch.Tensor:
        reference = torch.zeros(1, TINY.motion_dim)
        return transformer(x, timestep, reference, condition, horizon=horizon)[0]

    before = run()
    x[:, 10:] += 1.0
    condition[:, 10:] -= 1.0
    changed = (run() != before).any(dim=-1)[0]
    assert not changed[5:10].any()
    assert changed[10:].all()
    x[:, 5:10] += 1.0
    assert (run() != before).any(dim=-1)[0, 3:5].all()


def corruption(
    config: ModelConfig, timestep: torch.Tensor, noise: torch.Tensor | None = None
) -> Corruption:
    """Nothing dropped."""
    if noise is None:
        noise = torch.zeros(*timestep.shape, config.motion_dim)
    everything = {
        name: torch.ones(len(timestep), 1, 1)
        for name in ("avatar_audio", "user_audio", "user_motion", "reference")
    }
    return Corruption(config, config.block_causal, timestep, noise, everything)


@pytest.mark.parametrize("config", [TINY, TINY_CAUSAL])
def test_perfect_prediction_costs_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch, config: ModelConfig
) -> None:
    """If the network predicted noise minus clean, the loss would be zero, and only then."""
    model = tiny_generator(config)
    batch = ConversationWindows(data, "train", config).batch(4, np.random.default_rng(0))
    generator = torch.Generator().manual_seed(1)
    training = TrainingConfig(smoothness=0.0, parallel_share=1.0)
    drawn = draw_corruption(4, config, training, generator, CPU)
    assert drawn.parallel == config.block_causal
    truth = drawn.noise - model.normalise(batch.motion)
    for offset, loss in ((0.0, 0.0), (0.5, 0.25)):
        predicted = truth + offset
        monkeypatch.setattr(
            model.flow_transformer, "forward", lambda *a, s=predicted, **k: (s, [])
        )
        monkeypatch.setattr(model.flow_transformer, "parallel", lambda *a, s=predicted, **k: s)
        error = velocity_error(model, batch, drawn)
        found = flow_matching_loss(error, drawn, training)
        assert float(found) == pytest.approx(loss, abs=1e-5)


def test_weights_of_noise_levels() -> None:
    timestep = torch.tensor([[0.0, 100.0, 500.0]]).repeat(1, 10)[:, : TINY.window_frames]
    plain = frame_weight(corruption(TINY, timestep), TrainingConfig())
    assert plain[0, :3].tolist() == [0.0, 1.0, 1.0]
    bell = frame_weight(corruption(TINY, timestep), TrainingConfig(loss_weighting="bell"))
    assert 0.0 == bell[0, 0] < bell[0, 1] < bell[0, 2]


def test_roughness_counts_changes_inside_blocks_and_out_of_context() -> None:
    timestep = torch.full((1, TINY.window_frames), 300.0)
    timestep[:, :5] = 0.0
    weight = (timestep > 0).float()

    def of(error: torch.Tensor) -> float:
        return float(roughness(error[None, :, None], corruption(TINY, timestep), weight))

    frame = torch.arange(TINY.window_frames)
    flat = torch.where(frame >= 5, 1.0, 0.0)
    pairs = 1 + 3 * 4  # out of context, and inside each of the three noisy blocks
    assert of(flat) == pytest.approx(1.0 / pairs)
    assert of(flat + torch.where(frame >= 10, 5.0, 0.0)) == pytest.approx(1.0 / pairs)
    assert of(flat * torch.where(frame % 2 == 0, 1.0, -1.0)) > 1.0


def test_roughness_of_blocks_after_their_own_clean_past() -> None:
    """Every block begins at clean context, whose error is zero, whatever the block before did."""
    timestep = torch.full((1, TINY_CAUSAL.window_frames), 300.0)
    error = torch.ones(1, TINY_CAUSAL.window_frames, 1)
    found = roughness(error, corruption(TINY_CAUSAL, timestep), torch.ones_like(timestep))
    borders = (TINY_CAUSAL.window_frames - 1) // 3
    assert float(found) == pytest.approx(borders / (TINY_CAUSAL.window_frames - 1))


def test_now_and_then_blocks_have_another_length() -> None:
    generator = torch.Generator().manual_seed(0)
    training = TrainingConfig(other_block_share=0.5)
    lengths = [draw_block_length(TINY_CAUSAL, training, generator) for _ in range(400)]
    share = np.mean([config == TINY_CAUSAL for config in lengths])
    assert 0.4 < share < 0.6
    assert {config.block_frames for config in lengths} == {2, 3, 5, 10}
    never = TrainingConfig(other_block_share=0.0)
    assert draw_block_length(TINY_CAUSAL, never, generator) is TINY_CAUSAL


def test_a_nod_may_cost_more_than_a_blink() -> None:
    training = TrainingConfig(pitch_weight=4.0, eyes_weight=0.25)
    scales = channel_scales(TINY, training)
    assert scales.square().mean() == pytest.approx(1.0)
    nod, turn, blink = (float(scales[INDEX[n]]) for n in ("head_pitch", "head_yaw", "blink_left"))
    assert (nod / turn, blink / turn) == pytest.approx((2.0, 0.5))
    assert (channel_scales(TINY, TrainingConfig()) == 1.0).all()
    latent = replace(TINY, motion_space="latent")
    assert (channel_scales(latent, TrainingConfig()) == 1.0).all()
    with pytest.raises(ConfigError, match="latent"):
        channel_scales(latent, training)
