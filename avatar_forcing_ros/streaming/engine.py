"""Block in, block out: sound and the user's motion to the avatar's motion."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.media import MotionBlock
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.streaming.audio_window import AudioWindow
from avatar_forcing_ros.streaming.block_sampler import BlockSampler, block_noise
from avatar_forcing_ros.streaming.state import Conditions, MotionState, StreamState


@dataclass(frozen=True)
class BlockInput:
    """What was heard and seen during the N frames of one block.

    `avatar_audio` and `user_audio` ``[640 N]`` float32 at 16 kHz; `user_motion` ``[N, D]`` in its
    own units. None means that there is no such input, which the model knows how to do without.
    """

    avatar_audio: NDArray[np.float32]
    user_audio: NDArray[np.float32] | None = None
    user_motion: NDArray[np.float32] | None = None


class MotionEngine:
    """Steps conversations through one set of weights; each conversation is a `StreamState`."""

    def __init__(
        self,
        generator: MotionGenerator,
        sampling: SamplingConfig,
        reference: NDArray[np.float32] | None = None,
        *,
        cached: bool = True,
    ) -> None:
        """`reference` ``[D]`` is the portrait's own motion; by default that of a resting face."""
        self.generator = generator
        self.config = generator.config
        self.sampler = BlockSampler(generator.flow_transformer, sampling, cached=cached)
        self.seed = sampling.seed
        rest = np.zeros(self.config.motion_dim, np.float32) if reference is None else reference
        self.reference = generator.normalise(self._tensor(rest)[None])  # [1, D]

    def new_state(self) -> StreamState:
        """A conversation that has not begun."""
        return StreamState(MotionState.empty(self.config, self.reference), seed=self.seed)

    def frames(self, state: StreamState) -> int:
        """How many frames the next block of `state` has."""
        return self.sampler.frames(state.motion)

    @torch.inference_mode()
    def step(self, state: StreamState, heard: BlockInput) -> MotionBlock:
        """Make the next block and move `state` past it.

        Raises ValueError where the inputs do not last exactly one block; `state` stays then.
        """
        start = time.perf_counter()
        frames = self.frames(state)
        avatar_sound, user_sound = state.avatar_sound.clone(), state.user_sound.clone()
        conditions = Conditions(
            avatar_audio=self._listen(avatar_sound, heard.avatar_audio, frames),
            user_audio=self._listen(user_sound, heard.user_audio, frames),
            user_motion=self._watch(heard.user_motion, frames),
        )
        for name, part in conditions._asdict().items():
            if part.shape[1] != frames:
                raise ValueError(f"{name} lasts {part.shape[1]} frames, the block {frames}")
        noise = block_noise(state.seed, state.motion.block, frames, self.config.motion_dim)
        before = state.motion
        latent, after = self.sampler.next_block(before, self.reference, conditions, noise)
        state.motion, state.avatar_sound, state.user_sound = after, avatar_sound, user_sound
        motion = self.generator.denormalise(latent)
        return MotionBlock(
            block_index=before.block,
            first_frame=before.frame,
            latent=latent[0].cpu().numpy(),
            coefficients=motion[0].cpu().numpy(),
            compute_s=time.perf_counter() - start,
        )

    def _watch(self, motion: NDArray[np.float32] | None, frames: int) -> Tensor:
        """The user's motion ``[1, N, D]``, normalised; zeros where there is no such input."""
        if motion is None:
            return self.reference.new_zeros(1, frames, self.config.motion_dim)
        return self.generator.normalise(self._tensor(motion)[None])

    def _listen(
        self, window: AudioWindow, samples: NDArray[np.float32] | None, frames: int
    ) -> Tensor:
        """Audio features ``[1, N, A]`` of the next samples; zeros where there is no such input."""
        if samples is None:
            return self.reference.new_zeros(1, frames, self.config.audio_dim)
        return self.generator.audio_encoder(self._tensor(window.push(samples))[None])

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.generator.motion_mean)
