"""The diffusion-forcing transformer: noisy motion and conditions to velocity.

Every frame has its own timestep, so clean context and noisy future go through together
(diffusion forcing, arXiv 2407.01392; the network of Avatar Forcing, arXiv 2601.00664).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.model.attention import (
    Rotation,
    additive,
    cross_attention_mask,
    parallel_masks,
    rotary_table,
    self_attention_mask,
)
from avatar_forcing_ros.model.blocks import (
    AttentionContext,
    Block,
    BlockKeys,
    FinalLayer,
    Modulation,
    TimestepEmbedder,
    Window,
)
from avatar_forcing_ros.model.dual_motion_encoder import DualMotionEncoder


class MotionEmbedder(nn.Module):
    """Noisy motion beside the reference motion, linearly to hidden width."""

    def __init__(self, motion_dim: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(2 * motion_dim, dim)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        beside = reference[:, None, :].expand(-1, x.shape[1], -1)  # [B, T, D]
        return self.proj(torch.cat((x, beside), dim=-1))  # [B, T, H]


class FlowTransformer(nn.Module):
    """Predicts the velocity ``noise - clean`` of every frame; sizes come from the configuration.

    Holds parameters only. What it must remember between calls goes in as `past` and comes out as
    new keys; who keeps them is the caller's business (`streaming.kv_cache`).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.hidden_dim
        self.x_embedder = MotionEmbedder(config.motion_dim, dim)
        self.t_embedder = TimestepEmbedder(dim)
        self.c_embedder = DualMotionEncoder(
            config.motion_dim,
            config.audio_dim,
            dim,
            config.condition_heads,
            config.condition_ages,
        )
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(
            Block(dim, config.heads, config.mlp_ratio) for _ in range(config.blocks)
        )
        self.final_layer = FinalLayer(dim, config.motion_dim)

    def embed_conditions(
        self,
        user_audio: Tensor,
        user_motion: Tensor,
        avatar_audio: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """One condition ``[B, T, H]`` for the frames of one window (see `DualMotionEncoder`)."""
        return self.c_embedder(user_audio, user_motion, avatar_audio, mask)

    def modulation(self, timestep: Tensor) -> Modulation:
        """What `timestep` ``[B, T]`` in 0…1000 does to the blocks and to the final layer."""
        embedding = self.t_embedder(timestep)  # [B, T, H]
        return Modulation(
            self.adaLN_modulation(embedding), self.final_layer.adaLN_modulation(embedding)
        )

    def forward(
        self,
        x: Tensor,
        timestep: Tensor | Modulation,
        reference: Tensor,
        condition: Tensor | Window,
        past: Sequence[BlockKeys] | None = None,
        horizon: Tensor | None = None,
    ) -> tuple[Tensor, list[BlockKeys]]:
        """Velocity ``[B, T, D]`` and each block's keys of these T frames.

        `x` ``[B, T, D]``; `timestep` ``[B, T]`` in 0…1000, or its modulation; `reference`
        ``[B, D]``; `condition` ``[B, T, H]``; `past` holds, for each block, the keys of the frames
        just before these.
        `horizon` ``[B, T]`` is the last frame that each frame may see at all: training shows a
        whole clip at once, of which a stream would not have had the end yet. A `Window` stands
        for the last three.
        """
        if isinstance(condition, Window):
            window = condition
        else:
            attention = self._attention_context(x, x.shape[1], past, horizon)
            window = self._window(condition, past, attention)
        modulation = self.modulation(timestep) if isinstance(timestep, Tensor) else timestep
        return self._run_blocks(x, modulation, reference, window)

    def window(
        self,
        condition: Tensor,
        past: Sequence[BlockKeys] | None = None,
        horizon: Tensor | None = None,
    ) -> Window:
        """What `forward` makes of these, for several passes over the same frames, one by one.

        Each pass writes to it; gradients cannot flow through.
        """
        like = self.x_embedder.proj.weight
        attention = self._attention_context(like, condition.shape[1], past, horizon)
        attention = attention._replace(
            self_mask=additive(attention.self_mask, like.dtype),
            cross_mask=additive(attention.cross_mask, like.dtype),
        )
        window = self._window(condition, past, attention)
        frames = condition.shape[1]  # of which no pass is to copy all that came before
        return window._replace(past=tuple(p and p.with_room(frames) for p in window.past))

    def parallel(
        self,
        clean: Tensor,
        noisy: Tensor,
        timestep: Tensor,
        reference: Tensor,
        condition: Tensor,
        block_frames: int,
    ) -> Tensor:
        """Velocity ``[B, T, D]`` of every block of a clip, each after the clean blocks before it.

        What a stream with causal blocks computes one after another, at once: `clean` and `noisy`
        ``[B, T, D]`` go through as one sequence in which no block sees another's answer.
        `timestep` ``[B, T]`` is that of the noisy frames; the rest is as in `forward`.
        """
        frames = noisy.shape[1]
        head_dim = self.config.hidden_dim // self.config.heads
        ahead = self.config.look_ahead_frames
        masks = parallel_masks(frames, block_frames, ahead, noisy.device)
        once = rotary_table(frames, head_dim, noisy)
        rotation = Rotation(once.cos.repeat(2, 1), once.sin.repeat(2, 1))
        attention = AttentionContext(rotation, *masks)
        x = torch.cat((clean, noisy), dim=1)  # [B, 2 T, D]
        modulation = self.modulation(torch.cat((torch.zeros_like(timestep), timestep), dim=1))
        window = self._window(condition, None, attention)
        velocity, _ = self._run_blocks(x, modulation, reference, window)
        return velocity[:, frames:]

    def _window(
        self, condition: Tensor, past: Sequence[BlockKeys] | None, attention: AttentionContext
    ) -> Window:
        blocks = cast("Iterable[Block]", self.blocks)
        keys = tuple(block.cross_attn.keys(condition) for block in blocks)
        if not past:
            return Window(attention, (None,) * len(keys), keys, keys)
        kept, head_dim = past[0].self_attention.key.shape[2:]
        frames = len(attention.rotation.cos)
        rotation = rotary_table(kept + frames, head_dim, attention.rotation.cos).first(kept)
        return Window(
            attention,
            tuple(block.self_attention.rotated(rotation) for block in past),
            keys,
            tuple(k.after(p.cross_attention) for k, p in zip(keys, past, strict=True)),
        )

    def _run_blocks(
        self,
        x: Tensor,
        modulation: Modulation,
        reference: Tensor,
        window: Window,
    ) -> tuple[Tensor, list[BlockKeys]]:
        parts = modulation.blocks.chunk(6, dim=-1)
        hidden = self.x_embedder(x, reference)  # [B, T, H]
        present: list[BlockKeys] = []
        for i, block in enumerate(self.blocks):
            hidden, keys = block(
                hidden, parts, window.past[i], window.conditions_in_sight[i], window.attention
            )
            present.append(BlockKeys(keys, window.conditions[i]))
        return self.final_layer(hidden, modulation.final), present

    def _attention_context(
        self,
        like: Tensor,
        frames: int,
        past: Sequence[BlockKeys] | None,
        horizon: Tensor | None,
    ) -> AttentionContext:
        """Masks and rotations for `frames`, which past ones directly precede."""
        kept = past[0].self_attention.key.shape[2] if past else 0
        kept_cross = past[0].cross_attention.key.shape[2] if past else 0
        device = like.device
        here = torch.arange(frames, device=device)  # positions count from the first present one
        seen = torch.arange(-kept, frames, device=device)
        seen_cross = torch.arange(-kept_cross, frames, device=device)
        reach = self.config.look_ahead_frames
        self_mask = self_attention_mask(here, seen, reach)  # [T, S + T]
        cross_mask = cross_attention_mask(here, seen_cross, reach)  # [T, S' + T]
        if horizon is not None:
            last = horizon[:, None, :, None]  # [B, 1, T, 1]
            self_mask = self_mask & (seen <= last)  # [B, 1, T, S + T]
            cross_mask = cross_mask & (seen_cross <= last)
        rotation = rotary_table(kept + frames, self.config.hidden_dim // self.config.heads, like)
        return AttentionContext(rotation.last(frames), self_mask, cross_mask)
