"""Diffusion-forcing targets and losses as pure functions (MODEL: one timestep per block)."""

from __future__ import annotations

import torch
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig, TrainingConfig
from avatar_forcing_ros.model.flow_matching import (
    TRAINING_TIMESTEPS,
    sigma_at,
    timestep_table,
    timestep_weight,
    training_pair,
)
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.training.dataset import Batch


def draw_timesteps(
    batch: int, config: ModelConfig, training: TrainingConfig, generator: torch.Generator
) -> Tensor:
    """Timesteps ``[B, T]``: independent for each block of frames, the same inside a block.

    With the configured probability the blocks before a random one are clean (0), which is how
    context looks when streaming.
    """
    frames, length = config.window_frames, config.block_frames
    blocks = -(-frames // length)
    table, _ = timestep_table()
    drawn = table[torch.randint(TRAINING_TIMESTEPS, (batch, blocks), generator=generator)]
    first_noisy = torch.randint(blocks, (batch, 1), generator=generator)
    streaming = torch.rand(batch, 1, generator=generator) < training.clean_context_probability
    drawn[streaming & (torch.arange(blocks) < first_noisy)] = 0.0
    return drawn.repeat_interleave(length, dim=1)[:, :frames]


def streaming_horizon(timestep: Tensor, config: ModelConfig) -> Tensor:
    """The last frame that each frame of a clip would have seen when streaming: ``[B, T]``.

    A frame that is being made sees nothing after its own block, because that has not begun; a
    clean one was computed again, as context, when the next block was there.
    """
    frame = torch.arange(config.window_frames)
    block_end = frame // config.block_frames * config.block_frames + config.block_frames - 1
    return torch.where(timestep > 0, block_end, config.window_frames)


def streaming_condition_mask(config: ModelConfig) -> Tensor:
    """Which conditions of a clip a frame sees when streaming: bool ``[T, T]``, row sees column.

    Those of its own block and of the history before it. Seeing the whole clip at once, as the
    paper trains, would show the future.
    """
    frame = torch.arange(config.window_frames)
    start = frame // config.block_frames * config.block_frames  # of each frame's block
    first, last = start - config.condition_history_frames, start + config.block_frames
    return (frame >= first[:, None]) & (frame < last[:, None])


def draw_condition_masks(
    batch: int, probability: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Which samples keep which input: ``[B, 1, 1]`` of 0 or 1 for each.

    Each input is dropped on its own with `probability`; as often each, all of the user, the
    avatar's sound, or everything is dropped together, because guidance asks for these cases.
    """

    def happens() -> Tensor:
        return torch.rand(batch, generator=generator) < probability

    no_user, no_avatar, nothing = happens(), happens(), happens()
    dropped = {
        "avatar_audio": happens() | no_avatar | nothing,
        "user_audio": happens() | no_user | nothing,
        "user_motion": happens() | no_user | nothing,
        "reference": happens(),
    }
    return {name: (~drop).float()[:, None, None] for name, drop in dropped.items()}


def flow_matching_loss(
    model: MotionGenerator,
    batch: Batch,
    training: TrainingConfig,
    generator: torch.Generator,
) -> Tensor:
    """Weighted mean square of predicted minus true velocity over the noisy frames, a scalar."""
    clean = model.normalise(batch.motion)  # [B, T, D]
    timestep = draw_timesteps(len(clean), model.config, training, generator)  # [B, T]
    noise = torch.randn(clean.shape, generator=generator)
    x_t, target = training_pair(clean, noise, sigma_at(timestep))
    keep = draw_condition_masks(len(clean), training.condition_dropout, generator)
    condition = model.flow_transformer.embed_conditions(
        user_audio=model.audio_encoder(batch.user_sound) * keep["user_audio"],
        user_motion=model.normalise(batch.user_motion) * keep["user_motion"],
        avatar_audio=model.audio_encoder(batch.avatar_sound) * keep["avatar_audio"],
        mask=streaming_condition_mask(model.config),
    )
    reference = model.normalise(batch.reference) * keep["reference"][:, 0]
    horizon = streaming_horizon(timestep, model.config)
    velocity, _ = model.flow_transformer(x_t, timestep, reference, condition, horizon=horizon)
    weight = (timestep > 0).float()
    if training.loss_weighting == "bell":
        weight = weight * timestep_weight(timestep)
    error = velocity - target  # [B, T, D]
    size = error.square().mean(dim=-1)  # [B, T]
    loss = (weight * size).sum() / weight.sum().clamp_min(1e-6)
    if training.smoothness:
        loss = loss + training.smoothness * roughness(error, timestep, weight, model.config)
    return loss


def roughness(error: Tensor, timestep: Tensor, weight: Tensor, config: ModelConfig) -> Tensor:
    """Weighted mean square change of `error` ``[B, T, D]`` from frame to frame, a scalar.

    Counted inside blocks and from clean context, which has no error, into a block. Two blocks of
    different noise levels have errors of different scale: that change is left out.
    """
    noisy = (timestep > 0)[..., None]
    change = (noisy * error).diff(dim=1).square().mean(dim=-1)  # [B, T - 1]
    frame = torch.arange(1, config.window_frames)
    inside = frame % config.block_frames != 0
    from_context = (timestep[:, :-1] == 0) & (timestep[:, 1:] > 0)
    counted = weight[:, 1:] * (inside | from_context)
    return (counted * change).sum() / counted.sum().clamp_min(1e-6)
