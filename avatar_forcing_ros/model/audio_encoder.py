"""Speech features of the released model: wav2vec 2.0 (arXiv 2006.11477), one vector a video frame.

All layers' hidden states go through one projection. The network is that of `transformers`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.config import SpeechEncoderConfig
from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME


class SpeechEncoder(nn.Module):
    """Normalised sound to one feature per video frame."""

    def __init__(self, config: SpeechEncoderConfig, audio_dim: int) -> None:
        super().__init__()
        self.wav2vec2 = _wav2vec2(config)
        self.audio_projection = nn.Sequential(
            nn.Linear(config.layers * config.hidden_dim, audio_dim),
            nn.LayerNorm(audio_dim),
            nn.SiLU(),
        )

    def forward(self, samples: Tensor) -> Tensor:
        """`samples` ``[B, 640 T]`` of about unit variance to features ``[B, T, A]``."""
        layers = self.hidden_states(samples)
        return self.audio_projection(torch.cat(layers, dim=-1))

    def hidden_states(self, samples: Tensor) -> list[Tensor]:
        """What each transformer layer gives out: ``[B, T, hidden]`` each."""
        net = self.wav2vec2
        frames = samples.shape[-1] // SAMPLES_PER_FRAME
        heard = net.feature_extractor(samples)  # [B, 512, 2 T - 1]
        heard = functional.interpolate(heard, size=frames, mode="linear", align_corners=True)
        hidden, _ = net.feature_projection(heard.transpose(1, 2))  # [B, T, hidden]
        hidden = net.encoder.layer_norm(hidden + net.encoder.pos_conv_embed(hidden))
        out = []
        for layer in net.encoder.layers:
            result = layer(hidden)
            hidden = result[0] if isinstance(result, tuple) else result  # transformers below 5
            out.append(hidden)
        return out


def whole_clip(samples: Tensor, frames: int) -> Tensor:
    """`samples` ``[B, n]`` made ``[B, 640 frames]`` by repeating the last one."""
    missing = frames * SAMPLES_PER_FRAME - samples.shape[-1]
    return functional.pad(samples, (0, missing), mode="replicate")


def _wav2vec2(config: SpeechEncoderConfig) -> Any:
    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "speech encoder",
            expected="the Python package 'transformers'",
            got=f"no module named '{error.name}'",
            remedy="run: pip install 'avatar_forcing_ros[paper]'",
        ) from error
    return Wav2Vec2Model(
        Wav2Vec2Config(
            hidden_size=config.hidden_dim,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feed_forward_dim,
            conv_dim=(config.conv_dim,) * 7,
            num_conv_pos_embedding_groups=config.position_groups,
        )
    )
