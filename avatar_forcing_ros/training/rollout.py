"""A generator takes the avatar's part in whole conversations, block by block as a stream does it.

From stored features (`roll_out_features`, for training data), or from audio through the product's
`MotionEngine` with its delay and anchor (`roll_out_audio`, for evaluation). Many conversations are
one batch; each gets what it would get alone, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.model.audio_encoders import MEL_PER_FRAME, SILENCE, MelEncoder
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.streaming.block_sampler import BlockSampler, block_noise
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.state import Conditions, MotionState
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.dataset import StoredConversation
from avatar_forcing_ros.training.synthetic import Conversation

Motion = NDArray[np.float32]  # [T, D]


@dataclass(frozen=True)
class Script:
    """Conversations of equal length, one after another, as one stream of T frames."""

    conversations: Sequence[Conversation]

    @property
    def frames(self) -> int:
        return sum(conversation.frames for conversation in self.conversations)

    def avatar_audio(self, start: int, stop: int) -> NDArray[np.float32]:
        """Frames `start` to `stop` of the avatar's speech ``[640 n]``; silence outside."""
        return self._slice("avatar_audio", start, stop).reshape(-1)

    def user_audio(self, start: int, stop: int) -> NDArray[np.float32]:
        """The user's audio, likewise."""
        return self._slice("user_audio", start, stop).reshape(-1)

    def user_motion(self, start: int, stop: int) -> Motion:
        """The user's tracked motion ``[n, K]``; the first and last frame hold outside."""
        inside = np.clip(np.arange(start, stop), 0, self.frames - 1)
        first = int(inside[0])
        return self._slice("user_motion", first, int(inside[-1]) + 1)[inside - first]

    def truth(self) -> Motion:
        """The true avatar's motion ``[T, K]``."""
        return np.concatenate([item.avatar_motion for item in self.conversations])

    def _slice(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Frames ``[n, width]`` of the array `name`, zeros outside."""
        length = self.conversations[0].frames
        width = getattr(self.conversations[0], name).size // length
        out = np.zeros((stop - start, width), np.float32)
        for frame in range(max(start, 0), min(stop, self.frames)):
            rows = getattr(self.conversations[frame // length], name).reshape(length, width)
            out[frame - start] = rows[frame % length]
        return out


def roll_out_audio(
    engine: MotionEngine,
    scripts: Sequence[Script],
    seeds: Sequence[int],
    *,
    user_audio: bool = True,
    user_motion: bool = True,
) -> list[Motion]:
    """The avatar's motion ``[T, K]`` in each of `scripts`, within the rig's ranges.

    All scripts are equally long. The avatar's audio goes in when it comes, and is shown
    `avatar_audio_delay_frames` later, to a user who therefore is as much later: the delay is
    taken out again, so that frame t belongs to frame t of the script.
    """
    delay, frames = engine.config.avatar_audio_delay_frames, scripts[0].frames
    states = [engine.new_state(coefficients.neutral(), seed) for seed in seeds]
    made: list[NDArray[Any]] = []
    start = 0
    while start < frames + delay:
        stop = start + engine.frames(states[0])
        inputs = [
            BlockInput(
                script.avatar_audio(start, stop),
                script.user_audio(start - delay, stop - delay) if user_audio else None,
                script.user_motion(start - delay, stop - delay) if user_motion else None,
            )
            for script in scripts
        ]
        made.append(np.stack([block.motion for block in engine.step_many(states, inputs)]))
        start = stop
    motion = np.concatenate(made, axis=1)[:, delay : delay + frames]
    return list(coefficients.clip(motion))


@torch.inference_mode()
def roll_out_features(
    model: MotionGenerator,
    sampling: SamplingConfig,
    conversations: Sequence[StoredConversation],
    *,
    users: Sequence[StoredConversation] | None,
    seeds: Sequence[int],
) -> list[Motion]:
    """The avatar's motion ``[T, D]`` in each of `conversations`, in its own units.

    `users` holds the conversation whose user the avatar meets, its own or another, for each; None
    shows neither the audio nor the motion of anybody. Who is gone early is silent from then on.
    Each conversation draws its noise by its own seed; all are filled with silence to whole blocks
    and to the length of the longest, and cut again.
    """
    config = model.config
    device = model.motion_mean.device
    longest = max(conversation.frames for conversation in conversations)
    blocks = -(-max(0, longest - config.first_block_frames) // config.block_frames)
    frames = config.first_block_frames + blocks * config.block_frames
    conditions = _conditions(model, conversations, frames, users)
    references = [conversation.reference for conversation in conversations]
    reference = model.normalise(_stack(references, device))
    sampler = BlockSampler(model.flow_transformer, sampling)
    states = [MotionState.empty(config, row[None]) for row in reference]
    made: list[Tensor] = []
    start = 0
    while start < frames:
        count = sampler.frames(states[0])
        block = Conditions(*(part[:, start : start + count] for part in conditions))
        noise = [block_noise(seed, states[0].block, count, config.motion_dim) for seed in seeds]
        motion, states = sampler.next_blocks(states, reference, block, torch.cat(noise).to(device))
        made.append(motion)
        start += count
    motions = model.denormalise(torch.cat(made, dim=1)).cpu().numpy().astype(np.float32)
    return [motions[i, : item.frames] for i, item in enumerate(conversations)]


def _conditions(
    model: MotionGenerator,
    conversations: Sequence[StoredConversation],
    frames: int,
    users: Sequence[StoredConversation] | None,
) -> Conditions:
    """The conditions of T frames; zeros for a user who is not to be known."""
    ahead = model.config.avatar_audio_delay_frames
    device = model.motion_mean.device
    avatar_audio = [item.avatar_audio for item in conversations]
    avatar = _encode(model, avatar_audio, frames + ahead)[:, ahead:]
    user_motion = avatar.new_zeros(len(conversations), frames, model.config.motion_dim)
    user_audio = torch.zeros_like(avatar)
    if users:
        rate = len(conversations[0].user_audio) // conversations[0].frames
        user_audio = _encode(model, [one.user_audio[: frames * rate] for one in users], frames)
        for i, one in enumerate(users):
            motion = torch.from_numpy(one.user_motion[:frames]).to(device)
            user_motion[i, : len(motion)] = model.normalise(motion)
    return Conditions(avatar_audio=avatar, user_audio=user_audio, user_motion=user_motion)


def _encode(model: MotionGenerator, stored: Sequence[NDArray[np.float16]], frames: int) -> Tensor:
    """Features ``[B, T, A]`` of stored audio, with silence after the end of each."""
    device = model.motion_mean.device
    if isinstance(model.audio_encoder, MelEncoder):
        before = MelEncoder.HISTORY_FRAMES * MEL_PER_FRAME
        mels = [
            np.pad(
                mel.astype(np.float32),
                ((before, frames * MEL_PER_FRAME - len(mel)), (0, 0)),
                constant_values=SILENCE,
            )
            for mel in stored
        ]
        return model.audio_encoder(_stack(mels, device))
    waves = [
        np.pad(wave.astype(np.float32), (0, frames * SAMPLES_PER_FRAME - len(wave)))
        for wave in stored
    ]
    # as many frames at once as training shows
    length = model.config.window_frames * SAMPLES_PER_FRAME
    parts = _stack(waves, device).split(length, dim=1)
    return torch.cat([model.audio_encoder(part) for part in parts], dim=1)


def _stack(rows: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(rows)).to(device)
