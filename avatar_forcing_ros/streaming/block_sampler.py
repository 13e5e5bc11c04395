"""The next block of motion: solve the flow for new frames beside clean context and a cache.

Several conversations may be solved together; everything below has them in its first dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.model.attention import block_span, condition_mask
from avatar_forcing_ros.model.blocks import Modulation, Window
from avatar_forcing_ros.model.flow_matching import (
    extrapolation,
    guidance_rows,
    solver_steps,
    step,
)
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.streaming.cuda_graphs import Work, directly
from avatar_forcing_ros.streaming.kv_cache import KVCache, empty_cache, join, split
from avatar_forcing_ros.streaming.motion_anchor import AnchorState, MotionAnchor
from avatar_forcing_ros.streaming.state import Conditions, MotionState


def block_noise(seed: int, block: int, frames: int, dim: int) -> Tensor:
    """Standard normal noise ``[1, frames, dim]`` float32 that depends on its arguments alone.

    Drawn on the host, so every device and every order of conversations gives the same motion.
    """
    generator = np.random.Generator(np.random.PCG64([seed, block]))
    return torch.from_numpy(generator.standard_normal((1, frames, dim), dtype=np.float32))


class _Solved(NamedTuple):
    """A block with its context, and what is remembered of it."""

    motion: Tensor  # [B, C + N, D]
    anchor: AnchorState
    cache: KVCache


class BlockSampler:
    """Draws motion block after block; everything it remembers is in the states it is given.

    With `cached` False the whole window is computed afresh at every step instead of remembered as
    keys: the baseline that the cache is measured against. `anchor` holds the slow part of the
    motion; None leaves the motion to the model alone. `record` may wrap the numeric work of a
    steady conversation, for example to replay it as one recorded graph: the blocks before its
    memory is full are of a shape each, and come once.
    """

    def __init__(
        self,
        transformer: FlowTransformer,
        sampling: SamplingConfig,
        *,
        cached: bool = True,
        anchor: MotionAnchor | None = None,
        record: Callable[[Work], Work] = directly,
    ) -> None:
        config = transformer.config
        self.transformer = transformer
        self.cached, self.anchor = cached, anchor
        self.context_frames = (
            config.context_frames if cached else config.window_frames - config.block_frames
        )
        self.history_frames = max(self.context_frames, config.condition_history_frames)
        self.steps = solver_steps(sampling.nfe, sampling.schedule_power)
        self._reuse = extrapolation(self.steps, sampling.solver)
        self.rows = guidance_rows(
            sampling.guidance, sampling.audio_guidance, sampling.user_guidance
        )
        self.shown = tuple((row.avatar_audio, row.user) for row in self.rows)
        self._sent_levels: dict[torch.device, Tensor] = {}
        self._solve = record(self._solve_tensors)

    def frames(self, state: MotionState) -> int:
        """How many frames the next block has."""
        config = self.transformer.config
        return config.block_frames if state.block else config.first_block_frames

    @property
    def blocks_until_steady(self) -> int:
        """After how many blocks a conversation's memory is full: all later ones are alike."""
        config = self.transformer.config
        kept = config.cache_frames if self.cached else 0
        missing = max(self.history_frames, kept + self.context_frames) - config.first_block_frames
        return 1 + max(0, math.ceil(missing / config.block_frames))

    @torch.inference_mode()
    def next_blocks(
        self,
        states: Sequence[MotionState],
        reference: Tensor,
        conditions: Conditions,
        noise: Tensor,
    ) -> tuple[Tensor, list[MotionState]]:
        """The new frames' motion ``[B, N, D]`` and the states after them.

        The B conversations have come equally far (`MotionState.extent`). `reference` ``[B, D]``;
        `conditions` of the N new frames; `noise` ``[B, N, D]``.
        """
        history = conditions.after(Conditions(*join([s.past_conditions for s in states])))
        context = torch.cat([state.context for state in states])  # [B, C, D]
        anchor = join([state.anchor for state in states])
        cache = replace(states[0].cache, shown=self.shown)
        keys = join([state.cache.tensors() for state in states])
        table = self.transformer.modulation(self._levels(noise.device))  # [1, 1 + steps, …]
        inputs = [context, noise, reference, *history, *table, *anchor, *keys]
        is_steady = states[0].block >= self.blocks_until_steady and (
            not self.cached or cache.frames == cache.capacity  # guidance may have changed lately
        )
        motion, *rest = self._solve(inputs) if is_steady else self._solve_tensors(inputs)
        moments = len(AnchorState._fields)
        solved = _Solved(motion, AnchorState(*rest[:moments]), cache.with_tensors(rest[moments:]))
        return motion[:, context.shape[1] :], self._after(states, solved, history, noise.shape[1])

    def _levels(self, device: torch.device) -> Tensor:
        """Clean, then every step's timestep: ``[1, 1 + steps]``; sent to a device once."""
        if device not in self._sent_levels:
            levels = [0.0] + [s.timestep for s in self.steps]
            self._sent_levels[device] = torch.tensor([levels], device=device)
        return self._sent_levels[device]

    def _after(
        self, states: Sequence[MotionState], solved: _Solved, history: Conditions, frames: int
    ) -> list[MotionState]:
        keep = min(self.context_frames, solved.motion.shape[1])
        past = split(history.last(min(self.history_frames, history.frames)), len(states))
        context = solved.motion[:, solved.motion.shape[1] - keep :]
        anchors = split(solved.anchor, len(states))
        keys = split(solved.cache.tensors(), len(states))
        return [
            replace(
                state,
                cache=solved.cache.with_tensors(keys[i]),
                context=context[i : i + 1],
                past_conditions=Conditions(*past[i]),
                anchor=AnchorState(*anchors[i]),
                frame=state.frame + frames,
                block=state.block + 1,
            )
            for i, state in enumerate(states)
        ]

    def _solve_tensors(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """All steps and the pass that fills the cache; the host reads no value."""
        context, noise, reference, *rest = tensors
        history, table = Conditions(*rest[:3]), Modulation(*rest[3:5])
        moments = 5 + len(AnchorState._fields)
        anchor = AnchorState(*rest[5:moments])
        config = self.transformer.config
        cache = empty_cache(config).with_tensors(rest[moments:])
        frames, before = noise.shape[1], context.shape[1]
        embedded = self._embed(history, frames)[:, -(before + frames) :]  # [B R, C + N, H]
        portrait = reference.repeat_interleave(len(self.rows), dim=0)  # [B R, D]
        horizon = self._horizon(before, frames, noise.device)
        window = self.transformer.window(embedded, cache.peek(), horizon)
        x = torch.cat((context, noise.to(context)), dim=1)  # [B, C + N, D]
        previous = noise  # no velocity yet
        for k, s in enumerate(self.steps):
            level = table.spread(before, k + 1, frames)
            velocity = self._guided_velocity(x, level, portrait, window)
            here = velocity[:, before:]
            along = torch.lerp(previous, here, 1.0 + self._reuse[k]) if self._reuse[k] else here
            previous = here
            new = step(x[:, before:], along, s.sigma, s.next_sigma)
            x = torch.cat((context, new), dim=1)
        if self.anchor:
            held, anchor = self.anchor.hold(x[:, before:], reference, anchor)
            x = torch.cat((context, held), dim=1)
        if self.cached:
            clean = table.spread(before + frames, 0, 0)
            _, keys = self.transformer(self._rows(x), clean, portrait, window)
            cache = cache.commit(keys, [0.0] * (before + frames))
        return [x, *anchor, *cache.tensors()]

    def _rows(self, x: Tensor) -> Tensor:
        """`x` ``[B, T, D]`` once for each guidance row, as the network takes it."""
        rows = x.repeat_interleave(len(self.rows), dim=0)  # [B R, T, D]
        return rows.to(self.transformer.x_embedder.proj.weight.dtype)

    def _embed(self, window: Conditions, new: int) -> Tensor:
        """Each guidance row's condition for all frames of the window: ``[B R, T, H]``.

        The window ends with the block of `new` frames.
        """

        def shown(part: Tensor, row_has: Sequence[bool]) -> Tensor:
            nothing = torch.zeros_like(part)
            return torch.stack([part if has else nothing for has in row_has], dim=1).flatten(0, 1)

        user = [row.user for row in self.rows]
        return self.transformer.embed_conditions(
            user_audio=shown(window.user_audio, user),
            user_motion=shown(window.user_motion, user),
            avatar_audio=shown(window.avatar_audio, [row.avatar_audio for row in self.rows]),
            mask=self._condition_mask(window.frames, window.user_motion.device),
        )

    def _condition_mask(self, frames: int, device: torch.device) -> Tensor | None:
        """Which conditions attend to which others, for a window that ends with a block."""
        config = self.transformer.config
        if not config.block_causal:
            return None
        length = config.block_frames
        return condition_mask(
            frames, length, config.condition_history_frames, device, -frames % length
        )

    def _horizon(self, context: int, new: int, device: torch.device) -> Tensor | None:
        """The last frame that each of a window's may attend to ``[1, C + N]``; None: any."""
        length = self.transformer.config.block_frames
        if not self.transformer.config.block_causal or not context:
            return None
        frames = context + new
        return block_span(frames, length, -frames % length, device)[1][None] - 1

    def _guided_velocity(
        self, x: Tensor, level: Modulation, portrait: Tensor, window: Window
    ) -> Tensor:
        """The weighted sum of the guidance rows' velocities: ``[B, T, D]``, in the type of `x`."""
        velocity, _ = self.transformer(self._rows(x), level, portrait, window)
        rows = velocity.to(x.dtype).unflatten(0, (-1, len(self.rows)))  # [B, R, T, D]
        total = self.rows[0].weight * rows[:, 0]
        for k, row in enumerate(self.rows[1:], 1):
            total = total + row.weight * rows[:, k]
        return total
