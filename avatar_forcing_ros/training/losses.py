"""Diffusion forcing: what is drawn for a batch, the network's error, and the loss of it.

Every block of a clip has a timestep of its own (arXiv 2407.01392). A stream, though, makes a block
from pure noise after blocks that are clean, and of this a clip with independent noise levels shows
little. So where blocks are causal most batches go through `FlowTransformer.parallel`: each noisy
block after the clean past, all blocks of the clip at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.model.attention import condition_mask
from avatar_forcing_ros.model.flow_matching import (
    TRAINING_TIMESTEPS,
    sigma_at,
    timestep_table,
    timestep_weight,
    training_pair,
)
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.training.dataset import Batch
from avatar_forcing_ros.training.settings import TrainingConfig

OTHER_BLOCKS = (2, 5, 10)
EYES = ("blink_left", "blink_right", "gaze_x", "gaze_y")

Metrics = dict[str, Tensor]
"""Scalars by name; ``loss`` is what is minimised."""


class FlowMatching(nn.Module):
    """Diffusion forcing: the network's velocity is to be noise minus clean.

    A module, because a training engine wraps one and calls it with a batch.
    """

    scales: Tensor

    def __init__(self, model: MotionGenerator, training: TrainingConfig) -> None:
        super().__init__()
        self.model, self.training_config = model, training
        self.register_buffer("scales", channel_scales(model.config, training), persistent=False)

    def forward(self, batch: Batch, generator: torch.Generator) -> Metrics:
        """The loss of a batch; all randomness comes from `generator`, which is on the host."""
        training = self.training_config
        device = batch.motion.device
        drawn = draw_corruption(len(batch.motion), self.model.config, training, generator, device)
        with training_attention(device):
            error = self.scales * velocity_error(self.model, batch, drawn)
        return {"loss": flow_matching_loss(error, drawn, training)}


def channel_scales(config: ModelConfig, training: TrainingConfig) -> Tensor:
    """By what the error of each channel of motion is multiplied: ``[D]``, of mean square one.

    Raises ConfigError for weights of rig coefficients where motion is latents.
    """
    weight = torch.ones(config.motion_dim)
    if config.motion_space == "rig":
        weight[INDEX["head_pitch"]] = training.pitch_weight
        weight[[INDEX[name] for name in EYES]] = training.eyes_weight
    elif (training.pitch_weight, training.eyes_weight) != (1.0, 1.0):
        raise ConfigError(
            "pitch_weight and eyes_weight",
            expected="1 for motion in a latent space, whose channels have no such meaning",
            got=f"{training.pitch_weight:g} and {training.eyes_weight:g}",
            remedy="leave them out of the training settings",
        )
    return (weight / weight.mean()).sqrt()


def draw_block_length(
    config: ModelConfig, training: TrainingConfig, generator: torch.Generator
) -> ModelConfig:
    """`config`, or now and then the same network with blocks of another length.

    What is learned so runs at any of these lengths: shorter ones answer sooner, longer ones cost
    less.
    """
    drawn = torch.rand(1, generator=generator).item()
    which = int(torch.randint(len(OTHER_BLOCKS), (1,), generator=generator))
    if drawn >= training.other_block_share:
        return config
    length = max(OTHER_BLOCKS[which], config.look_ahead_frames)
    return replace(config, block_frames=length, first_block_frames=2 * length)


def draw_timesteps(
    batch: int, config: ModelConfig, clean_context_probability: float, generator: torch.Generator
) -> Tensor:
    """Timesteps ``[B, T]``: independent for each block of frames, the same inside a block.

    With that probability the blocks before a random one are clean (0), which is how
    context looks when streaming.
    """
    frames, length = config.window_frames, config.block_frames
    blocks = -(-frames // length)
    table, _ = timestep_table()
    drawn = table[torch.randint(TRAINING_TIMESTEPS, (batch, blocks), generator=generator)]
    first_noisy = torch.randint(blocks, (batch, 1), generator=generator)
    streaming = torch.rand(batch, 1, generator=generator) < clean_context_probability
    drawn[streaming & (torch.arange(blocks) < first_noisy)] = 0.0
    return drawn.repeat_interleave(length, dim=1)[:, :frames]


def streaming_horizon(timestep: Tensor, config: ModelConfig) -> Tensor:
    """The last frame that each frame of a clip would have seen when streaming: ``[B, T]``.

    A frame that is being made sees nothing after its own block, because that has not begun; a
    clean one was computed again, as context, when the next block was there.
    """
    frame = torch.arange(config.window_frames, device=timestep.device)
    block_end = frame // config.block_frames * config.block_frames + config.block_frames - 1
    if config.block_causal:
        return block_end.expand_as(timestep)
    return torch.where(timestep > 0, block_end, config.window_frames)


def draw_condition_masks(
    batch: int, probability: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Which samples keep which input: ``[B, 1, 1]`` of 0 or 1 for each.

    Each input is dropped on its own with `probability`; as often each, all of the user, the
    avatar's audio, or everything is dropped together, because guidance asks for these cases.
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


class Corruption(NamedTuple):
    """What is drawn for one batch of B windows."""

    config: ModelConfig  # the network's, now and then with blocks of another length
    parallel: bool  # every block after its clean past, or all blocks beside each other
    timestep: Tensor  # [B, T]
    noise: Tensor  # [B, T, D]
    keep: dict[
        str, Tensor
    ]  # [B, 1, 1] each: 1 for an input that a window keeps, 0 for a dropped one


def draw_corruption(
    windows: int,
    config: ModelConfig,
    training: TrainingConfig,
    generator: torch.Generator,
    device: torch.device,
) -> Corruption:
    """All randomness of a batch, drawn on the host: the same on every device."""
    config = draw_block_length(config, training, generator)
    share = torch.rand(1, generator=generator).item()
    parallel = config.block_causal and share < training.parallel_share
    clean = 0.0 if parallel else training.clean_context_probability
    timestep = draw_timesteps(windows, config, clean, generator)
    noise = torch.randn(windows, config.window_frames, config.motion_dim, generator=generator)
    keep = draw_condition_masks(windows, training.condition_dropout, generator)
    keep = {name: mask.to(device) for name, mask in keep.items()}
    return Corruption(config, parallel, timestep.to(device), noise.to(device), keep)


def velocity_error(model: MotionGenerator, batch: Batch, drawn: Corruption) -> Tensor:
    """Predicted minus true velocity ``[B, T, D]``."""
    config, keep = drawn.config, drawn.keep
    clean = model.normalise(batch.motion)  # [B, T, D]
    x_t, target = training_pair(clean, drawn.noise, sigma_at(drawn.timestep))
    span = (config.window_frames, config.block_frames, config.condition_history_frames)
    transformer = model.flow_transformer
    condition = transformer.embed_conditions(
        user_audio=model.audio_encoder(batch.user_audio) * keep["user_audio"],
        user_motion=model.normalise(batch.user_motion) * keep["user_motion"],
        avatar_audio=model.audio_encoder(batch.avatar_audio) * keep["avatar_audio"],
        mask=condition_mask(*span, clean.device),
    )
    reference = model.normalise(batch.reference) * keep["reference"][:, 0]
    if drawn.parallel:
        velocity = transformer.parallel(
            clean, x_t, drawn.timestep, reference, condition, config.block_frames
        )
    else:
        horizon = streaming_horizon(drawn.timestep, config)
        velocity, _ = transformer(x_t, drawn.timestep, reference, condition, horizon=horizon)
    return velocity - target


def frame_weight(drawn: Corruption, training: TrainingConfig) -> Tensor:
    """How much each frame's error counts: ``[B, T]``, nothing for clean ones."""
    weight = (drawn.timestep > 0).float()
    if training.loss_weighting == "bell":
        weight = weight * timestep_weight(drawn.timestep)
    return weight


def flow_matching_loss(error: Tensor, drawn: Corruption, training: TrainingConfig) -> Tensor:
    """Weighted mean square of `error` ``[B, T, D]`` over the noisy frames, a scalar."""
    weight = frame_weight(drawn, training)
    loss = (weight * error.square().mean(dim=-1)).sum() / weight.sum().clamp_min(1e-6)
    if training.smoothness:
        loss = loss + training.smoothness * roughness(error, drawn, weight)
    return loss


def roughness(error: Tensor, drawn: Corruption, weight: Tensor) -> Tensor:
    """Weighted mean square change of `error` ``[B, T, D]`` from frame to frame, a scalar.

    Counted inside blocks and from clean context, which has no error, into a block. Two blocks of
    different noise levels have errors of different scale: that change is left out.
    """
    timestep, config = drawn.timestep, drawn.config
    error = (timestep > 0)[..., None] * error
    frame = torch.arange(1, config.window_frames, device=error.device)
    inside = (frame % config.block_frames != 0).expand_as(timestep[:, 1:])
    if drawn.parallel:  # each block comes out of its own clean context
        change = torch.where(inside[..., None], error.diff(dim=1), error[:, 1:])
        counted = weight[:, 1:]
    else:
        change = error.diff(dim=1)
        from_context = (timestep[:, :-1] == 0) & (timestep[:, 1:] > 0)
        counted = weight[:, 1:] * (inside | from_context)
    size = change.square().mean(dim=-1)  # [B, T - 1]
    return (counted * size).sum() / counted.sum().clamp_min(1e-6)


@contextmanager
def training_attention(device: torch.device) -> Iterator[None]:
    """On a CPU the fused attention's backward pass takes as long as all the rest: go without."""
    if device.type != "cpu":
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield
