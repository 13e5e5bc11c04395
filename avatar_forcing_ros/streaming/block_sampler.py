"""The next block of motion: solve the flow for new frames beside clean context and a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.model.blocks import BlockKeys
from avatar_forcing_ros.model.flow_matching import guidance_rows, solver_steps, step
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.streaming.state import Conditions, MotionState


def block_noise(seed: int, block: int, frames: int, dim: int) -> Tensor:
    """Standard normal noise ``[1, frames, dim]`` float32 that depends on its arguments alone.

    Drawn on the host, so every device and every order of conversations gives the same motion.
    """
    generator = np.random.Generator(np.random.PCG64([seed, block]))
    return torch.from_numpy(generator.standard_normal((1, frames, dim), dtype=np.float32))


class BlockSampler:
    """Draws motion block after block; everything it remembers is in the state it is given.

    With `cached` False the whole window is computed afresh at every step instead of remembered as
    keys: the baseline that the cache is measured against.
    """

    def __init__(
        self, transformer: FlowTransformer, sampling: SamplingConfig, *, cached: bool = True
    ) -> None:
        config = transformer.config
        self.transformer = transformer
        self.cached = cached
        self.context_frames = (
            config.look_ahead_frames if cached else config.window_frames - config.block_frames
        )
        self.history_frames = max(self.context_frames, config.condition_history_frames)
        self.steps = solver_steps(sampling.evaluations, sampling.schedule_power)
        self.rows = guidance_rows(
            sampling.guidance, sampling.audio_guidance, sampling.user_guidance
        )

    def frames(self, state: MotionState) -> int:
        """How many frames the next block has."""
        config = self.transformer.config
        return config.block_frames if state.block else config.first_block_frames

    @torch.inference_mode()
    def next_block(
        self, state: MotionState, reference: Tensor, conditions: Conditions, noise: Tensor
    ) -> tuple[Tensor, MotionState]:
        """The new frames' motion ``[1, N, D]`` and the state after them.

        `reference` ``[1, D]``; `conditions` of the N new frames; `noise` ``[1, N, D]``.
        """
        history = conditions.after(state.past_conditions)
        window_frames = state.context.shape[1] + noise.shape[1]  # C + N
        embedded = self._embed(history)[:, -window_frames:]  # [R, C + N, H]
        reference = reference.expand(len(self.rows), -1)
        x = torch.cat((state.context, noise.to(state.context)), dim=1)  # [1, C + N, D]
        context = state.context.shape[1]
        past = state.cache.peek()
        timestep = x.new_zeros(len(self.rows), x.shape[1])
        for s in self.steps:
            timestep[:, context:] = s.timestep
            velocity = self._guided_velocity(x, timestep, reference, embedded, past)
            new = step(x[:, context:], velocity[:, context:], s.sigma, s.next_sigma)
            x = torch.cat((state.context, new), dim=1)
        cache = state.cache
        if self.cached:
            clean = torch.zeros_like(timestep)
            _, keys = self.transformer(
                x.expand(len(self.rows), -1, -1), clean, reference, embedded, past
            )
            cache = state.cache.commit(keys, clean)
        keep = min(self.context_frames, x.shape[1])
        after = replace(
            state,
            cache=cache,
            context=x[:, x.shape[1] - keep :],
            past_conditions=history.last(min(self.history_frames, history.frames)),
            frame=state.frame + noise.shape[1],
            block=state.block + 1,
        )
        return x[:, context:], after

    def _embed(self, window: Conditions) -> Tensor:
        """Each guidance row's condition for all frames of the window: ``[R, T, H]``."""
        audio = torch.tensor([row.avatar_audio for row in self.rows]).to(window.avatar_audio)
        user = torch.tensor([row.user for row in self.rows]).to(window.user_audio)
        return self.transformer.embed_conditions(
            user_audio=window.user_audio * user[:, None, None],
            user_motion=window.user_motion * user[:, None, None],
            avatar_audio=window.avatar_audio * audio[:, None, None],
        )

    def _guided_velocity(
        self,
        x: Tensor,
        timestep: Tensor,
        reference: Tensor,
        embedded: Tensor,
        past: Sequence[BlockKeys] | None,
    ) -> Tensor:
        """The weighted sum of the guidance rows' velocities: ``[1, T, D]``."""
        velocity, _ = self.transformer(
            x.expand(len(self.rows), -1, -1), timestep, reference, embedded, past
        )
        weight = velocity.new_tensor([row.weight for row in self.rows])
        return (weight[:, None, None] * velocity).sum(dim=0, keepdim=True)
