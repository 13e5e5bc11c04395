"""Block in, block out: audio and the user's motion to the avatar's motion."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.config import AnchorConfig, ModelConfig, SamplingConfig
from avatar_forcing_ros.errors import GenerationError
from avatar_forcing_ros.media import MotionBlock, check_values
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.streaming.audio_window import AudioWindow, new_audio_window
from avatar_forcing_ros.streaming.block_sampler import BlockSampler, block_noise
from avatar_forcing_ros.streaming.cuda_graphs import Work, directly
from avatar_forcing_ros.streaming.kv_cache import empty_cache
from avatar_forcing_ros.streaming.motion_anchor import MotionAnchor
from avatar_forcing_ros.streaming.state import Conditions, MotionState, StreamState
from avatar_forcing_ros.streaming.transfers import download, upload
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

KEPT_SAMPLERS = 8


@dataclass(frozen=True)
class BlockInput:
    """The inputs of the N frames of one block.

    `avatar_audio` and `user_audio` ``[640 N]`` float32 at 16 kHz; `user_motion` ``[N, D]`` in its
    own units. None means that there is no such input, which the model knows how to do without.
    """

    avatar_audio: NDArray[np.float32]
    user_audio: NDArray[np.float32] | None = None
    user_motion: NDArray[np.float32] | None = None

    def check(self, frames: int) -> None:
        """Raises ValueError unless every input lasts `frames` frames and holds usable values."""
        lengths = {
            "avatar_audio": len(self.avatar_audio) / SAMPLES_PER_FRAME,
            "user_audio": None
            if self.user_audio is None
            else len(self.user_audio) / SAMPLES_PER_FRAME,
            "user_motion": None if self.user_motion is None else len(self.user_motion),
        }
        for name, length in lengths.items():
            if length is not None and length != frames:
                raise ValueError(f"{name} lasts {length:g} frames, the block {frames}")
        check_values("avatar_audio", self.avatar_audio)
        if self.user_audio is not None:
            check_values("user_audio", self.user_audio)
        if self.user_motion is not None:
            check_values("user_motion", self.user_motion)


class BlockEngine(Protocol):
    """What a conversation needs of an engine, its own or one that many share."""

    config: ModelConfig
    sampling: SamplingConfig
    is_recorded: bool
    """Whether a device records shapes, which is slow when they come first."""
    is_shared: bool
    """Whether blocks that several conversations ask for at one moment are made together."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a state belongs to: sizes, number format and a fingerprint of the weights."""

    @property
    def warm_up_blocks(self) -> tuple[int, ...]:
        """Conversations, as numbers of blocks, after which no block is slow for being new."""

    def set_sampling(self, sampling: SamplingConfig) -> None:
        """Draw the next blocks in another way."""

    def set_evaluations(self, nfe: int) -> None:
        """Make the next blocks with so many function evaluations, for want of time."""

    def new_state(
        self, reference: NDArray[np.float32] | None = None, seed: int | None = None
    ) -> StreamState:
        """A conversation that has not begun."""

    def reference(self, motion: NDArray[np.float32] | None = None) -> Tensor:
        """A portrait's own motion ``[D]`` as the network takes it: ``[1, D]``."""

    def frames(self, state: StreamState) -> int:
        """How many frames the next block of `state` has."""

    def step(self, state: StreamState, inputs: BlockInput) -> MotionBlock:
        """Make the next block and move `state` past it."""


class MotionEngine:
    """Steps conversations through one set of weights; each conversation is a `StreamState`."""

    is_shared = False

    def __init__(
        self,
        generator: MotionGenerator,
        sampling: SamplingConfig,
        *,
        anchor: AnchorConfig | None = None,
        cached: bool = True,
        record: Callable[[Work], Work] = directly,
    ) -> None:
        """`anchor` None leaves motion to the model alone; for the rest see `BlockSampler`."""
        self.generator = generator
        self.config = generator.config
        self._anchor = MotionAnchor(anchor) if anchor and anchor.enabled else None
        self._cached, self._record = cached, record
        self.is_recorded = record is not directly
        # each keeps what a device recorded for it, which takes longer to make than a block
        self._samplers: dict[SamplingConfig, BlockSampler] = {}
        self._encode_audio = record(lambda inputs: [generator.audio_encoder(inputs[0])])
        self.set_sampling(sampling)

    def set_sampling(self, sampling: SamplingConfig) -> None:
        """Draw the next blocks in another way; conversations go on."""
        self.sampling = sampling
        drawn = replace(sampling, seed=0)  # which every conversation has for itself
        sampler = self._samplers.pop(drawn, None) or BlockSampler(
            self.generator.flow_transformer,
            drawn,
            cached=self._cached,
            anchor=self._anchor,
            record=self._record,
        )
        self._samplers[drawn] = self.sampler = sampler
        while len(self._samplers) > KEPT_SAMPLERS:
            del self._samplers[next(iter(self._samplers))]

    def set_evaluations(self, nfe: int) -> None:
        """Draw the next blocks with so many function evaluations; conversations go on."""
        self.set_sampling(replace(self.sampling, nfe=nfe))

    def new_state(
        self, reference: NDArray[np.float32] | None = None, seed: int | None = None
    ) -> StreamState:
        """A conversation that has not begun.

        `reference` ``[D]`` is the portrait's own motion, by default that of a resting face; `seed`
        is by default that of the sampling configuration.
        """
        start = self.reference(reference)
        return StreamState(
            MotionState.empty(self.config, start),
            reference=start,
            avatar_audio=new_audio_window(self.config),
            user_audio=new_audio_window(self.config),
            seed=self.sampling.seed if seed is None else seed,
        )

    def reference(self, motion: NDArray[np.float32] | None = None) -> Tensor:
        """A portrait's own motion ``[D]`` as the network takes it: ``[1, D]``."""
        rest = np.zeros(self.config.motion_dim, np.float32) if motion is None else motion
        return self.generator.normalise(self._tensor(rest)[None])

    @property
    def warm_up_blocks(self) -> tuple[int, ...]:
        """Conversations, as numbers of blocks, after which no block is slow because it is new.

        A shape is recorded when it comes the second time (see `Recorder`); without recordings two
        blocks show everything.
        """
        if not self.is_recorded:
            return (2,)
        return self.sampler.blocks_until_steady + 2, 3

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a state belongs to, in JSON's own types; of the weights the last layer's count."""
        generator = self.generator
        last = generator.flow_transformer.final_layer.linear
        digest = hashlib.blake2b(digest_size=8)
        for tensor in (generator.motion_mean, generator.motion_std, last.weight, last.bias):
            digest.update(tensor.detach().float().cpu().numpy().tobytes())
        return {
            **json.loads(json.dumps(asdict(self.config))),
            "precision": str(last.weight.dtype).removeprefix("torch."),
            "weights": digest.hexdigest(),
        }

    def frames(self, state: StreamState) -> int:
        """How many frames the next block of `state` has."""
        return self.sampler.frames(state.motion)

    def step(self, state: StreamState, inputs: BlockInput) -> MotionBlock:
        """Make the next block and move `state` past it.

        Raises ValueError where the inputs do not last exactly one block or hold values that no
        audio or motion has, and GenerationError where what comes out is not finite; `state` stays
        then.
        """
        return self.step_many([state], [inputs])[0]

    def step_many(
        self, states: Sequence[StreamState], inputs: Sequence[BlockInput]
    ) -> list[MotionBlock]:
        """The next block of each conversation; those that have come equally far are one batch.

        Each gets what it would get alone, up to rounding; its `compute_s` is that of its batch.
        Raises ValueError as `step` does, and all states stay then; GenerationError, too, but
        those of batches that were made before have moved on.
        """
        for state, given in zip(states, inputs, strict=True):
            given.check(self.frames(state))
        blocks: dict[int, MotionBlock] = {}
        for members in self.batches(states):
            made = self._step_group([states[i] for i in members], [inputs[i] for i in members])
            blocks |= dict(zip(members, made, strict=True))
        return [blocks[i] for i in range(len(states))]

    def batches(self, states: Sequence[StreamState]) -> list[list[int]]:
        """Indices of `states`, those together that have come equally far: `step_many`'s."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, state in enumerate(states):
            groups.setdefault(self._with_valid_cache(state.motion).extent, []).append(i)
        return list(groups.values())

    @torch.inference_mode()
    def _step_group(
        self, states: Sequence[StreamState], inputs: Sequence[BlockInput]
    ) -> list[MotionBlock]:
        start = time.perf_counter()
        frames = self.frames(states[0])
        before = [self._with_valid_cache(state.motion) for state in states]
        avatar_windows = [state.avatar_audio.clone() for state in states]
        user_windows = [state.user_audio.clone() for state in states]
        avatar = self._audio_features(avatar_windows, [b.avatar_audio for b in inputs], frames)
        user = self._audio_features(user_windows, [b.user_audio for b in inputs], frames)
        conditions = Conditions(
            avatar_audio=avatar[:, -frames:],
            user_audio=user[:, -frames:],
            user_motion=torch.cat([self._motion_features(b.user_motion, frames) for b in inputs]),
        )
        # without user audio the features of the past stay, whatever else is in the batch
        known = [
            user[i] if b.user_audio is not None else user[i, -frames:]
            for i, b in enumerate(inputs)
        ]
        revised = [
            replace(m, past_conditions=_revised(m.past_conditions, avatar[i], known[i], frames))
            for i, m in enumerate(before)
        ]
        noise = torch.cat(
            [
                block_noise(state.seed, m.block, frames, self.config.motion_dim)
                for state, m in zip(states, before, strict=True)
            ]
        )
        reference = torch.cat([state.reference for state in states])
        latent, after = self.sampler.next_blocks(
            revised, reference, conditions, upload(noise.numpy(), reference.new_empty(0).float())
        )
        # the state's own is not to be written to
        coming = [download(t) for t in (self.generator.denormalise(latent), latent.clone())]
        motion, latents = (arrived() for arrived in coming)
        _check_finite(latents, [m.block for m in before])
        for i, state in enumerate(states):
            state.motion = after[i]
            state.avatar_audio, state.user_audio = avatar_windows[i], user_windows[i]
        took_s = time.perf_counter() - start
        return [
            MotionBlock(m.block, m.frame, latents[i], motion[i], took_s)
            for i, m in enumerate(before)
        ]

    def _with_valid_cache(self, motion: MotionState) -> MotionState:
        """`motion`, without its keys where they were made for other guidance rows."""
        if motion.cache.shown in ((), self.sampler.shown):
            return motion
        return replace(motion, cache=empty_cache(self.config))

    def _motion_features(self, motion: NDArray[np.float32] | None, frames: int) -> Tensor:
        """The user's motion ``[1, N, D]``, normalised; zeros where there is no such input."""
        if motion is None:
            return self.generator.motion_mean.new_zeros(1, frames, self.config.motion_dim)
        return self.generator.normalise(self._tensor(motion)[None])

    def _audio_features(
        self,
        windows: Sequence[AudioWindow],
        audio: Sequence[NDArray[np.float32] | None],
        frames: int,
    ) -> Tensor:
        """Audio features ``[B, M, A]``, M at least N; zeros where there is no such input.

        An encoder that looks both ways gives out frames before the new ones, too: their features
        now that more of their future is known.
        """
        present = [i for i, samples in enumerate(audio) if samples is not None]
        if not present:
            return self.generator.motion_mean.new_zeros(len(audio), frames, self.config.audio_dim)
        given = [windows[i].push(x) for i, x in enumerate(audio) if x is not None]
        features = self._encode_audio([self._tensor(np.stack(given))])[0]  # [present, M, A]
        if len(present) == len(audio):
            return features
        out = features.new_zeros(len(audio), *features.shape[1:])
        out[present] = features
        return out

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return upload(np.asarray(array, np.float32), self.generator.motion_mean)


def _check_finite(latents: NDArray[np.float32], blocks: Sequence[int]) -> None:
    """Raises GenerationError where any of `latents` ``[B, N, D]`` of `blocks` is not finite.

    It would stay in the memory of its conversation for ever, as a black image.
    """
    finite = np.isfinite(latents).all(axis=(1, 2))
    if finite.all():
        return
    bad = latents[~finite]
    raise GenerationError(
        f"motion of block {blocks[int(np.argmin(finite))]}",
        expected="finite numbers",
        got=f"NaN or infinity in {np.count_nonzero(~np.isfinite(bad))} of {bad.size}",
        remedy="check the weights ('avatar-forcing weights check'), or use --precision float32",
    )


def _revised(past: Conditions, avatar: Tensor, user: Tensor, frames: int) -> Conditions:
    """`past` ``[1, P, …]`` with what is now known better of its newest frames.

    `avatar` and `user` ``[M, A]`` end with the `frames` new ones.
    """

    def updated(known: Tensor, features: Tensor) -> Tensor:
        count = min(known.shape[1], features.shape[0] - frames)
        if not count:
            return known
        better = features[-frames - count : -frames][None]
        return torch.cat((known[:, :-count], better), dim=1)

    return past._replace(
        avatar_audio=updated(past.avatar_audio, avatar), user_audio=updated(past.user_audio, user)
    )
