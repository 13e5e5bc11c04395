"""Settings of training and of data preparation: one place for each default."""

from __future__ import annotations

from dataclasses import dataclass, field

from avatar_forcing_ros.config import PRESETS, ModelConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.settings import Config, setting
from avatar_forcing_ros.strict import require
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

MAX_WINDOW_S = 60.0  # of prepared data: one file


@dataclass(frozen=True)
class TrainingConfig(Config):
    """How a generator is trained: the optimiser, and diffusion forcing."""

    steps: int = setting(12_000, "Optimiser steps.", low=1)
    batch_windows: int = setting(
        16,
        "Windows a batch; a step takes one batch from each process and each accumulation.",
        low=1,
    )
    accumulate_batches: int = setting(
        1, "Batches whose gradients are added up before a step, where memory is short.", low=1
    )
    learning_rate: float = setting(1e-3, "Peak of the learning rate.", above=0.0)
    warm_up_steps: int = setting(300, "Steps until that peak.", low=0)
    weight_decay: float = setting(0.01, "Weight decay of AdamW.", low=0.0)
    gradient_clip: float = setting(1.0, "Maximum norm of the gradient.", above=0.0)
    ema_decay: float = setting(0.999, "Decay of the averaged weights.", low=0.0, high=1.0)
    loss_weighting: str = setting(
        "uniform",
        "``bell`` is the paper's, which leaves pure noise untrained; a solver with few steps "
        "takes half its way from there, so the compact preset weighs all noise levels alike.",
        choices=("uniform", "bell"),
    )
    smoothness: float = setting(
        1.0,
        "Weight of the error's change from frame to frame. The best prediction stays the same, "
        "but a network of limited size makes its errors slow ones, not visible as tremor.",
        low=0.0,
    )
    pitch_weight: float = setting(
        1.0,
        "Weight of the error of head pitch, where motion is rig coefficients: nods are a small "
        "part of it, and of all that a listener does the part that only the voice foretells.",
        above=0.0,
    )
    eyes_weight: float = setting(
        1.0,
        "The same of blinks and gaze, which little foretells: with 1 they are most of the loss.",
        above=0.0,
    )
    condition_dropout: float = setting(
        0.05,
        "Each input is dropped alone this often, and as often all of the user, the avatar's "
        "audio, or everything together: an input of the user is missing in 1 - (1 - p)^3 of the "
        "windows, which is 14 % here. The paper's tenth is 0.035.",
        low=0.0,
        high=1.0,
    )
    clean_context_probability: float = setting(
        0.5,
        "How often a window begins with clean frames, as it does when streaming.",
        low=0.0,
        high=1.0,
    )
    parallel_share: float = setting(
        0.7,
        "How many batches show every block its clean past at once, where blocks are causal; in "
        "the others all blocks are noisy, each at a level of its own.",
        low=0.0,
        high=1.0,
    )
    other_block_share: float = setting(
        0.3,
        "How many batches have blocks of another length than the network's own: 2, 5 or 10 "
        "frames.",
        low=0.0,
        high=1.0,
    )
    precision: str = setting(
        "bfloat16",
        "``bfloat16`` runs matrix products in half the bits (1.5 times as fast on two AVX-512 "
        "cores); the weights themselves stay in float32.",
        choices=("float32", "bfloat16"),
    )
    checkpoint_every_steps: int = setting(500, "Steps from checkpoint to checkpoint.", low=1)
    validate_every_steps: int = setting(1000, "Steps from validation to validation.", low=1)
    seed: int = setting(0, "Seed of batches and noise.", low=0)


@dataclass(frozen=True)
class PreferenceConfig(Config):
    """The preference step: real motion over what cannot be an answer to the user."""

    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=1_500, learning_rate=1e-4, warm_up_steps=100, condition_dropout=0.0
        )
    )
    beta: float = setting(
        300.0,
        "How much nearer to the winner than to the loser, beyond the model before, is enough: the "
        "greater, the sooner a pair counts as separated and is left alone.",
        above=0.0,
    )
    flow_weight: float = setting(
        1.0, "Weight of the flow-matching loss that keeps the model a generator.", low=0.0
    )
    conversations: int = setting(600, "How many conversations losing samples are made of.", low=1)
    losers: str = setting(
        "both",
        "What loses: motion made with the user dropped, with another user shuffled in, or both.",
        choices=("dropped", "shuffled", "both"),
    )

    @property
    def losing_kinds(self) -> tuple[str, ...]:
        """The kinds of losing samples that are made."""
        return ("dropped", "shuffled") if self.losers == "both" else (self.losers,)


@dataclass(frozen=True)
class PrepareSettings(Config):
    """What a person decides about data prepared from recordings."""

    preset: str = setting("compact", "Networks to be trained.", choices=tuple(PRESETS))
    weights: str = setting(
        "",
        "Checkpoint file or folder whose motion autoencoder makes the latents of a latent preset.",
        file=True,
    )
    valid_share: float = setting(
        0.05, "Share of the recordings that is kept for validation.", low=0.0, high=1.0
    )
    min_seconds: float = setting(
        4.0, "Shorter windows are left out.", low=0.0, high=MAX_WINDOW_S / 2
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        window_frames = self.model.window_frames + self.model.avatar_audio_delay_frames
        shortest_s = window_frames / FRAME_RATE_HZ
        require(
            "min_seconds",
            self.min_seconds,
            f"{shortest_s:g} or more, which training takes at once",
            self.min_seconds >= shortest_s,
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
