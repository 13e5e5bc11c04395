"""Settings of training and of data preparation: one place for each default."""

from __future__ import annotations

from dataclasses import dataclass, field

from avatar_forcing_ros.config import PRESETS, ModelConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.strict import one_of, require
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

MAX_WINDOW_S = 60.0  # of prepared data: one file
_COUNTS = (
    "steps", "batch_windows", "accumulate_batches", "checkpoint_every_steps",
    "validate_every_steps",
)  # fmt: skip
_SHARES = (
    "condition_dropout", "clean_context_probability", "parallel_share", "other_block_share",
    "ema_decay",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingConfig:
    """How a generator is trained: the optimiser, and diffusion forcing."""

    steps: int = 12_000
    batch_windows: int = 16
    """Windows a batch; a step takes one batch from each process and each accumulation."""
    accumulate_batches: int = 1
    """Batches whose gradients are added up before a step, where memory is short."""
    learning_rate: float = 1e-3
    warm_up_steps: int = 300
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    loss_weighting: str = "uniform"
    """``bell`` is the paper's, which leaves pure noise untrained; a solver with few steps takes
    half its way from there, so the compact preset weighs all noise levels alike."""
    smoothness: float = 1.0
    """Weight of the error's change from frame to frame. The best prediction stays the same, but
    a network of limited size makes its errors slow ones, which nobody notices as trembling."""
    condition_dropout: float = 0.05
    """Each input is dropped alone this often, and as often all of the user, the avatar's audio, or
    everything together: an input of the user is missing in 1 - (1 - p)^3 of the windows, which
    is 14 % here. The paper's tenth is 0.035."""
    clean_context_probability: float = 0.5
    """How often a window begins with clean frames, as it does when streaming."""
    parallel_share: float = 0.7
    """How many batches show every block its clean past at once, where blocks are causal; in the
    others all blocks are noisy, each at a level of its own."""
    other_block_share: float = 0.3
    """How many batches have blocks of another length than the network's own: 2, 5 or 10 frames."""
    precision: str = "bfloat16"
    """``bfloat16`` runs matrix products in half the bits (1.5 times as fast on two AVX-512 cores);
    the weights themselves stay in float32."""
    checkpoint_every_steps: int = 500
    validate_every_steps: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            require(name, value, "a whole number above 0", value > 0)
        for name in ("learning_rate", "gradient_clip"):
            require(name, getattr(self, name), "above 0", getattr(self, name) > 0)
        for name in ("weight_decay", "warm_up_steps", "smoothness", "seed"):
            require(name, getattr(self, name), "0 or more", getattr(self, name) >= 0)
        for name, kinds in (
            ("loss_weighting", ("uniform", "bell")),
            ("precision", ("float32", "bfloat16")),
        ):
            kind = getattr(self, name)
            require(name, kind, " or ".join(map(repr, kinds)), kind in kinds)
        for name in _SHARES:
            value = getattr(self, name)
            require(name, value, "a probability in 0 … 1", 0.0 <= value <= 1.0)


@dataclass(frozen=True)
class PreferenceConfig:
    """The preference step: real motion over what is made without the user."""

    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=1_500, learning_rate=1e-4, warm_up_steps=100, condition_dropout=0.0
        )
    )
    beta: float = 300.0
    """How much nearer to the winner than to the loser, beyond the model before, is enough: the
    greater, the sooner a pair counts as separated and is left alone."""
    flow_weight: float = 1.0
    """Weight of the flow-matching loss that keeps the model a generator."""
    conversations: int = 600
    """How many conversations losing samples are made of."""

    def __post_init__(self) -> None:
        require("beta", self.beta, "above 0", self.beta > 0)
        require("flow_weight", self.flow_weight, "0 or more", self.flow_weight >= 0)
        require(
            "conversations", self.conversations, "a whole number above 0", self.conversations > 0
        )


@dataclass(frozen=True)
class PrepareSettings:
    """What a person decides about data prepared from recordings."""

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
        shortest_s = (
            self.model.window_frames + self.model.avatar_audio_delay_frames
        ) / FRAME_RATE_HZ
        require(
            "min_seconds",
            self.min_seconds,
            f"{shortest_s:g} (what training takes at once) … {MAX_WINDOW_S / 2:g}",
            shortest_s <= self.min_seconds <= MAX_WINDOW_S / 2,
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
