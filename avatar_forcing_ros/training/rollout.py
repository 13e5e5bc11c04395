"""Whole conversations through a generator, many at a time, block by block as a stream does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.model.audio_encoders import MEL_PER_FRAME, SILENCE, MelEncoder
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.streaming.block_sampler import BlockSampler, block_noise
from avatar_forcing_ros.streaming.state import Conditions, MotionState
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.conversation_file import StoredConversation


@torch.inference_mode()
def roll_out(
    model: MotionGenerator,
    sampling: SamplingConfig,
    talks: Sequence[StoredConversation],
    *,
    user: bool,
    seeds: Sequence[int],
) -> list[NDArray[np.float32]]:
    """The avatar's motion ``[T, D]`` in each of `talks`, in its own units.

    Without `user` the model neither hears nor sees the other person. Each conversation draws its
    noise by its own seed, and gets what it would get alone, up to rounding: all are filled with
    silence to whole blocks and to the length of the longest, and cut again.
    """
    config = model.config
    device = model.motion_mean.device
    beyond = max(0, max(talk.frames for talk in talks) - config.first_block_frames)
    frames = config.first_block_frames + -(-beyond // config.block_frames) * config.block_frames
    told = _conditions(model, talks, frames, user)
    reference = model.normalise(_stack([talk.reference for talk in talks], device))
    sampler = BlockSampler(model.flow_transformer, sampling)
    states = [MotionState.empty(config, row[None]) for row in reference]
    out: list[Tensor] = []
    done = 0
    while done < frames:
        count = sampler.frames(states[0])
        block = Conditions(*(kind[:, done : done + count] for kind in told))
        noise = [block_noise(seed, states[0].block, count, config.motion_dim) for seed in seeds]
        motion, states = sampler.next_blocks(states, reference, block, torch.cat(noise).to(device))
        out.append(motion)
        done += count
    made = model.denormalise(torch.cat(out, dim=1)).cpu().numpy().astype(np.float32)
    return [made[i, : talk.frames] for i, talk in enumerate(talks)]


def _conditions(
    model: MotionGenerator, talks: Sequence[StoredConversation], frames: int, user: bool
) -> Conditions:
    """All that is told of T frames; of the user only what is to be known."""
    ahead = model.config.avatar_audio_delay_frames
    device = model.motion_mean.device
    voice = _features(model, [talk.avatar_sound for talk in talks], frames + ahead)[:, ahead:]
    seen = voice.new_zeros(len(talks), frames, model.config.motion_dim)
    heard = torch.zeros_like(voice)
    if user:
        heard = _features(model, [talk.user_sound for talk in talks], frames)
        for i, talk in enumerate(talks):
            seen[i, : talk.frames] = model.normalise(torch.from_numpy(talk.user_motion).to(device))
    return Conditions(avatar_audio=voice, user_audio=heard, user_motion=seen)


def _features(
    model: MotionGenerator, sounds: Sequence[NDArray[np.float16]], frames: int
) -> Tensor:
    """Audio features ``[B, T, A]`` of stored sounds, silence after the end of each."""
    device = model.motion_mean.device
    if isinstance(model.audio_encoder, MelEncoder):
        before = MelEncoder.HISTORY_FRAMES * MEL_PER_FRAME
        rows = [
            np.pad(
                sound.astype(np.float32),
                ((before, frames * MEL_PER_FRAME - len(sound)), (0, 0)),
                constant_values=SILENCE,
            )
            for sound in sounds
        ]
        return model.audio_encoder(_stack(rows, device))
    waves = [
        np.pad(sound.astype(np.float32), (0, frames * SAMPLES_PER_FRAME - len(sound)))
        for sound in sounds
    ]
    # as many frames at once as training shows
    length = model.config.window_frames * SAMPLES_PER_FRAME
    parts = _stack(waves, device).split(length, dim=1)
    return torch.cat([model.audio_encoder(part) for part in parts], dim=1)


def _stack(rows: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(rows)).to(device)
