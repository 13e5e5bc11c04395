"""What a person decides about prepared data."""

from __future__ import annotations

from dataclasses import dataclass

from avatar_forcing_ros.config import PRESETS, ModelConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.strict import one_of, require
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

LONGEST_S = 60.0  # of one window: one file of training data


@dataclass(frozen=True)
class PrepareSettings:
    """Raises ConfigError for values that cannot be used."""

    preset: str = "compact"
    weights: str = ""
    """Checkpoint file or folder whose motion autoencoder makes the latents of a latent preset."""
    valid_share: float = 0.05
    """Share of the recordings that is kept for validation."""
    min_seconds: float = 4.0
    """Shorter windows are left out."""

    def __post_init__(self) -> None:
        if self.weights:
            object.__setattr__(self, "weights", str(user_path(self.weights)))
        require("preset", self.preset, one_of(PRESETS, self.preset), self.preset in PRESETS)
        require("valid_share", self.valid_share, "0 … 1", 0.0 <= self.valid_share <= 1.0)
        least = (self.model.window_frames + self.model.avatar_audio_delay_frames) / FRAME_RATE_HZ
        require(
            "min_seconds",
            self.min_seconds,
            f"{least:g} (what training takes at once) … {LONGEST_S / 2:g}",
            least <= self.min_seconds <= LONGEST_S / 2,
        )
        if self.latent and not self.weights:
            raise ConfigError(
                f"weights of preset '{self.preset}'",
                expected="a checkpoint with a motion autoencoder, which makes the latents",
                got="none",
                remedy="give --weights (see 'avatar-forcing weights')",
            )

    @property
    def model(self) -> ModelConfig:
        """The networks that are to be trained."""
        return PRESETS[self.preset].model

    @property
    def latent(self) -> bool:
        """Whether motion is latents, and not rig coefficients."""
        return self.model.motion_space == "latent"

    @property
    def min_frames(self) -> int:
        """Frames of the shortest window."""
        return round(self.min_seconds * FRAME_RATE_HZ)
