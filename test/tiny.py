"""A generator small enough for tests, with weights that make every input matter."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from avatar_forcing_ros.config import (
    AnchorConfig,
    AutoencoderConfig,
    ModelConfig,
    SamplingConfig,
    SpeechEncoderConfig,
)
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.load import load_face_square
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

TINY = ModelConfig(
    motion_dim=23,
    audio_dim=16,
    hidden_dim=32,
    heads=2,
    blocks=2,
    condition_heads=2,
    block_frames=5,
    first_block_frames=5,
    window_frames=20,
    block_causal=False,
    condition_ages=False,
    condition_history_frames=7,
)
TINY_CAUSAL = replace(
    TINY, block_frames=3, first_block_frames=3, block_causal=True, condition_ages=True
)


TINY_LATENT = ModelConfig(
    motion_dim=16,
    audio_dim=16,
    hidden_dim=32,
    heads=2,
    blocks=2,
    condition_heads=2,
    motion_space="latent",
    audio_encoder="wav2vec2",
    speech_encoder=SpeechEncoderConfig(32, 2, 2, 64, 16, 4),
    autoencoder=AutoencoderConfig(image_size_px=64, directions=6, channel_limit=16),
    block_frames=10,
    first_block_frames=50,
    window_frames=50,
    block_causal=False,
    condition_ages=False,
    condition_history_frames=2,
    avatar_audio_delay_frames=0,
)


def tiny_autoencoder(seed: int = 0) -> MotionAutoencoder:
    torch.manual_seed(seed)
    net = MotionAutoencoder(TINY_LATENT.autoencoder, TINY_LATENT.motion_dim)
    return net.eval().requires_grad_(False)


@lru_cache
def ada_square(size_px: int) -> Portrait:
    """The shipped portrait as the latent motion space takes it."""
    return load_face_square(None, size_px)


def tiny_generator(config: ModelConfig = TINY, seed: int = 0) -> MotionGenerator:
    torch.manual_seed(seed)
    return MotionGenerator(config).eval().requires_grad_(False)


def tiny_engine(
    sampling: SamplingConfig | None = None,
    *,
    config: ModelConfig = TINY,
    cached: bool = True,
    anchor: AnchorConfig | None = None,
) -> MotionEngine:
    return MotionEngine(
        tiny_generator(config), sampling or SamplingConfig(), cached=cached, anchor=anchor
    )


def talk(frames: int, seed: int = 0, config: ModelConfig = TINY) -> BlockInput:
    """`frames` of loud sound from both and of the user's motion."""
    rng = np.random.default_rng(seed)

    def sound() -> NDArray[np.float32]:
        return (0.2 * rng.standard_normal(frames * SAMPLES_PER_FRAME)).astype(np.float32)

    motion = rng.standard_normal((frames, config.motion_dim)).astype(np.float32)
    return BlockInput(sound(), sound(), 0.3 * motion)


def part(heard: BlockInput, start: int, stop: int) -> BlockInput:
    """Frames `start` to `stop` of `heard`."""
    cut = slice(start * SAMPLES_PER_FRAME, stop * SAMPLES_PER_FRAME)
    return BlockInput(
        heard.avatar_audio[cut],
        None if heard.user_audio is None else heard.user_audio[cut],
        None if heard.user_motion is None else heard.user_motion[start:stop],
    )


def roll(engine: MotionEngine, heard: BlockInput, blocks: int) -> NDArray[np.float32]:
    """The latents ``[T, D]`` of the first `blocks` blocks."""
    state, out, at = engine.new_state(), [], 0
    for _ in range(blocks):
        frames = engine.frames(state)
        out.append(engine.step(state, part(heard, at, at + frames)).latent)
        at += frames
    return np.concatenate(out)
