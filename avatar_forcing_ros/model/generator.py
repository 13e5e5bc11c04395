"""The motion generator: an audio encoder and the diffusion-forcing transformer together."""

from __future__ import annotations

from torch import Tensor, nn

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.model.audio_encoders import MelEncoder, SpeechEncoder
from avatar_forcing_ros.model.flow_transformer import FlowTransformer


class MotionGenerator(nn.Module):
    """Everything that turns audio and the user's motion into the avatar's motion.

    `motion_mean` and `motion_std` ``[D]`` normalise motion and travel with the weights.
    """

    motion_mean: Tensor
    motion_std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.audio_encoder: MelEncoder | SpeechEncoder = (
            SpeechEncoder(config.speech_encoder, config.audio_dim)
            if config.audio_encoder == "wav2vec2"
            else MelEncoder(config.audio_dim)
        )
        self.flow_transformer = FlowTransformer(config)
        self.register_buffer("motion_mean", Tensor(config.motion_dim).zero_())
        self.register_buffer("motion_std", Tensor(config.motion_dim).fill_(1.0))

    def normalise(self, motion: Tensor) -> Tensor:
        """Motion ``[..., D]`` in its own units to the network's."""
        return (motion - self.motion_mean) / self.motion_std

    def denormalise(self, latent: Tensor) -> Tensor:
        """The network's motion ``[..., D]`` back to its own units."""
        return latent * self.motion_std + self.motion_mean
