"""Configuration: one home for each default, strict about names and values.

Precedence, lowest first: the defaults here, a checkpoint's own configuration (its network sizes),
a YAML file, then parameters or command-line flags.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.strict import from_mapping, one_of, require

SOLVERS = ("euler", "adams")
GUIDANCE_MODES = ("separate", "joint")
MOTION_SPACES = ("rig", "latent")
AUDIO_ENCODERS = ("mel", "wav2vec2")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class SpeechEncoderConfig:
    """Sizes of the wav2vec 2.0 speech encoder; the defaults are its base model."""

    hidden_dim: int = 768
    layers: int = 12
    heads: int = 12
    feed_forward_dim: int = 3072
    conv_dim: int = 512
    position_groups: int = 16

    def __post_init__(self) -> None:
        for part in dataclasses.fields(self):
            value = getattr(self, part.name)
            require(part.name, value, "a whole number above 0", value > 0)
        for name, of in (("heads", self.heads), ("position_groups", self.position_groups)):
            require(name, of, f"a divisor of {self.hidden_dim}", self.hidden_dim % of == 0)


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of the motion autoencoder; the defaults are the released model's."""

    image_size_px: int = 512
    directions: int = 20
    channel_limit: int = 512
    """No layer is wider than this; small models for tests are made by it."""

    def __post_init__(self) -> None:
        sizes = (16, 32, 64, 128, 256, 512, 1024)
        size = self.image_size_px
        require("image_size_px", size, f"one of {', '.join(map(str, sizes))}", size in sizes)
        for name in ("directions", "channel_limit"):
            value = getattr(self, name)
            require(name, value, "a whole number above 0", value > 0)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the networks; a checkpoint carries its own. The defaults are the compact preset."""

    motion_dim: int = 23
    audio_dim: int = 128
    hidden_dim: int = 192
    heads: int = 4
    blocks: int = 4
    mlp_ratio: float = 4.0
    condition_heads: int = 4
    motion_space: str = "rig"
    """``rig``: coefficients of the face rig; ``latent``: latents of a motion autoencoder."""
    audio_encoder: str = "mel"
    """``mel``: a small causal network, trained with the rest; ``wav2vec2``: the released one."""
    speech_encoder: SpeechEncoderConfig = field(default_factory=SpeechEncoderConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    block_frames: int = 3
    first_block_frames: int = 3
    window_frames: int = 50
    look_ahead_frames: int = 2
    block_causal: bool = True
    """Whether what a frame sees ends with its own block for good. The paper's last two frames of
    a block are looked at again beside the next one; without that a stream computes nothing twice,
    and training can show every block of a clip its clean past at once."""
    condition_ages: bool = True
    """Whether the condition encoder knows how old what it sees is. The paper's does not: a smile
    that begins and one that ends a second ago are the same to it."""
    condition_history_frames: int = 25
    """Frames before a block whose conditions are embedded with it. The paper has its two frames
    of context; a second of the user's past is what a reaction after 200 to 600 ms is due to."""
    avatar_audio_delay_frames: int = 2
    """How much later than it came in the avatar's voice is shown and heard."""

    @property
    def context_frames(self) -> int:
        """Frames before a block that are computed again beside it."""
        return 0 if self.block_causal else self.look_ahead_frames

    @property
    def cache_frames(self) -> int:
        """Self-attention memory: what of a window is neither new nor recomputed context."""
        return self.window_frames - self.block_frames - self.context_frames

    def __post_init__(self) -> None:
        for name in (
            "motion_dim",
            "audio_dim",
            "hidden_dim",
            "heads",
            "blocks",
            "condition_heads",
            "block_frames",
            "first_block_frames",
            "window_frames",
            "look_ahead_frames",
        ):
            require(name, getattr(self, name), "a whole number above 0", getattr(self, name) > 0)
        require(
            "hidden_dim",
            self.hidden_dim,
            f"a multiple of 2 * heads = {2 * self.heads}",
            self.hidden_dim % (2 * self.heads) == 0,
        )
        require(
            "audio_dim",
            self.audio_dim,
            f"a multiple of condition_heads = {self.condition_heads}",
            self.audio_dim % self.condition_heads == 0,
        )
        require(
            "first_block_frames",
            self.first_block_frames,
            f"at least {self.look_ahead_frames + self.context_frames}",
            self.first_block_frames >= self.look_ahead_frames + self.context_frames,
        )
        require(
            "window_frames",
            self.window_frames,
            "more than a block and its context",
            self.cache_frames > 0,
        )
        require(
            "condition_history_frames",
            self.condition_history_frames,
            f"at least look_ahead_frames = {self.look_ahead_frames}",
            self.condition_history_frames >= self.look_ahead_frames,
        )
        require(
            "block_frames",
            self.block_frames,
            f"at least look_ahead_frames = {self.look_ahead_frames}",
            self.block_frames >= self.look_ahead_frames,
        )
        require("mlp_ratio", self.mlp_ratio, "above 0", self.mlp_ratio > 0)
        for name, kinds in (("motion_space", MOTION_SPACES), ("audio_encoder", AUDIO_ENCODERS)):
            kind = getattr(self, name)
            require(name, kind, " or ".join(map(repr, kinds)), kind in kinds)
        require(
            "avatar_audio_delay_frames",
            self.avatar_audio_delay_frames,
            "0 or more",
            self.avatar_audio_delay_frames >= 0,
        )


@dataclass(frozen=True)
class SamplingConfig:
    """How motion is drawn from the model."""

    evaluations: int = 10
    """Function evaluations a block: evaluations - 2 solver steps and one pass for the cache."""
    schedule_power: float = 2.0
    """1 spaces the noise levels evenly, as the paper does; more makes the last steps shorter,
    which leaves less jitter in the motion."""
    solver: str = "adams"
    """``euler`` is the paper's. ``adams`` (Adams-Bashforth, second order) also uses the velocity
    of the step before: with few steps Euler's method loses a third of the motion's variance, this
    one far less, for the same evaluations."""
    guidance: str = "joint"
    audio_guidance: float = 1.0
    user_guidance: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        require("evaluations", self.evaluations, "3 to 1000", 3 <= self.evaluations <= 1000)
        require(
            "schedule_power", self.schedule_power, "0.5 to 4", 0.5 <= self.schedule_power <= 4.0
        )
        require(
            "guidance",
            self.guidance,
            " or ".join(map(repr, GUIDANCE_MODES)),
            self.guidance in GUIDANCE_MODES,
        )
        require("solver", self.solver, " or ".join(map(repr, SOLVERS)), self.solver in SOLVERS)
        for name in ("audio_guidance", "user_guidance"):
            value = getattr(self, name)
            require(name, value, "a number in -10 … 10", -10.0 <= value <= 10.0)
        require("seed", self.seed, "0 or more", self.seed >= 0)


@dataclass(frozen=True)
class AnchorConfig:
    """What keeps motion from drifting over hours (see `streaming.motion_anchor`)."""

    enabled: bool = True
    dead_band: float = 1.5
    """How far the slow mean of a motion channel may stray from the reference before it is held,
    in multiples of the channel's own usual range."""
    mean_s: float = 20.0
    """Time over which the slow mean is taken."""
    return_s: float = 4.0
    """Time in which what is beyond the dead band is brought back."""

    def __post_init__(self) -> None:
        for name in ("dead_band", "mean_s", "return_s"):
            require(name, getattr(self, name), "above 0", getattr(self, name) > 0)


@dataclass(frozen=True)
class AvatarConfig:
    """A whole avatar: which weights, which face, how sampled, how large."""

    preset: str = "compact"
    weights: str = ""
    """Checkpoint file; empty means the one that ships with the preset."""
    portrait: str = ""
    """Image with a face; empty means the portrait that ships with the package."""
    image_size_px: int = 512
    device: str = "auto"
    """``auto`` takes CUDA for the paper preset where there is one; the compact model is as fast
    on a CPU."""
    precision: str = "auto"
    """``auto`` is bfloat16 for the paper preset on CUDA, else float32."""
    cpu_threads: int = 1
    """Threads of the networks on a CPU. The compact model's matrices are small: on two cores a
    second thread gains a tenth in the median and quadruples the 95th percentile."""
    sampling: SamplingConfig = field(default=None)  # type: ignore[assignment]
    """The preset's own by default."""
    anchor: AnchorConfig = field(default_factory=AnchorConfig)

    def __post_init__(self) -> None:
        require("preset", self.preset, one_of(PRESETS, self.preset), self.preset in PRESETS)
        for name in ("weights", "portrait"):
            if getattr(self, name):
                object.__setattr__(self, name, str(user_path(getattr(self, name))))
        if self.sampling is None:
            object.__setattr__(self, "sampling", PRESETS[self.preset].sampling)
        require(
            "image_size_px",
            self.image_size_px,
            "an even number in 128 … 2048",
            128 <= self.image_size_px <= 2048 and self.image_size_px % 2 == 0,
        )
        require("cpu_threads", self.cpu_threads, "1 or more", self.cpu_threads >= 1)
        require(
            "precision",
            self.precision,
            ", ".join(map(repr, PRECISIONS)),
            self.precision in PRECISIONS,
        )


# The released model's sizes.
PAPER_MODEL = ModelConfig(
    motion_dim=512,
    audio_dim=512,
    hidden_dim=1024,
    heads=8,
    blocks=8,
    condition_heads=4,
    motion_space="latent",
    audio_encoder="wav2vec2",
    block_frames=10,
    first_block_frames=50,
    window_frames=50,
    block_causal=False,
    condition_ages=False,
    condition_history_frames=2,
    avatar_audio_delay_frames=0,
)


@dataclass(frozen=True)
class Preset:
    """What a preset's name stands for: the networks, and how they are sampled by default."""

    model: ModelConfig
    sampling: SamplingConfig


PRESETS: dict[str, Preset] = {
    "compact": Preset(ModelConfig(), SamplingConfig()),
    "paper": Preset(
        PAPER_MODEL,
        SamplingConfig(
            evaluations=10,
            schedule_power=1.0,
            solver="euler",
            guidance="separate",
            audio_guidance=2.0,
            user_guidance=1.0,
        ),
    ),
}


def merged_config(
    file: Mapping[str, Any], flags: Mapping[str, Any], where: str = "configuration"
) -> AvatarConfig:
    """The avatar that plain values from a `file` and then from `flags` describe.

    Both may hold any part of the settings. What neither says about sampling is the preset's own.
    Raises ConfigError.
    """
    if not isinstance(file, Mapping):
        return from_mapping(AvatarConfig, file, where)  # says what is wrong with it
    values = {**file, **{name: value for name, value in flags.items() if name != "sampling"}}
    preset = PRESETS.get(str(values.get("preset", AvatarConfig.preset)))
    if preset:
        values["sampling"] = dataclasses.asdict(preset.sampling)
        for layer in (file, flags):
            part = layer.get("sampling", {})
            if not isinstance(part, Mapping):
                return from_mapping(AvatarConfig, {"sampling": part}, where)
            values["sampling"] |= part
    return from_mapping(AvatarConfig, values, where)
