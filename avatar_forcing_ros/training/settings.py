"""How generators are trained: the defaults of all settings, one home for each."""

from __future__ import annotations

from dataclasses import dataclass, field

from avatar_forcing_ros.strict import require


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
    a network of limited size spends its errors on what is slow, which nobody sees as trembling."""
    condition_dropout: float = 0.05
    """Each input is dropped alone this often, and as often all of the user, the avatar's voice, or
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
        for name in (
            "steps",
            "batch_windows",
            "accumulate_batches",
            "checkpoint_every_steps",
            "validate_every_steps",
        ):
            value = getattr(self, name)
            require(name, value, "a whole number above 0", value > 0)
        for name in ("learning_rate", "gradient_clip"):
            require(name, getattr(self, name), "above 0", getattr(self, name) > 0)
        for name in ("weight_decay", "warm_up_steps", "smoothness", "seed"):
            require(name, getattr(self, name), "0 or more", getattr(self, name) >= 0)
        require(
            "loss_weighting",
            self.loss_weighting,
            "'uniform' or 'bell'",
            self.loss_weighting in ("uniform", "bell"),
        )
        require(
            "precision",
            self.precision,
            "'float32' or 'bfloat16'",
            self.precision in ("float32", "bfloat16"),
        )
        for name in (
            "condition_dropout",
            "clean_context_probability",
            "parallel_share",
            "other_block_share",
            "ema_decay",
        ):
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
    greater, the sooner a pair counts as told apart and is left alone."""
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
