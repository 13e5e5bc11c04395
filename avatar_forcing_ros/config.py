"""Configuration of an avatar: the one home of each default, help text and range.

Precedence, lowest first: the defaults here, the preset's own sampling and a checkpoint's own
network sizes, a YAML file, then ROS parameters or command-line flags. What only the ROS nodes take
is in `node_config`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.settings import Config, part, setting
from avatar_forcing_ros.strict import current_names, from_mapping, merged, require

SOLVERS = ("euler", "adams")
GUIDANCE_MODES = ("separate", "joint", "user")
MOTION_SPACES = ("rig", "latent")
AUDIO_ENCODERS = ("mel", "wav2vec2")
PRECISIONS = ("auto", "float32", "bfloat16")
SAMPLED = {"live": True, "of_preset": True}
PORTRAIT_BACKGROUND, TRANSPARENT = "portrait", "transparent"


def is_colour(background: str) -> bool:
    """Whether the setting `background` is a colour, ``#rrggbb``."""
    return re.fullmatch("#[0-9a-fA-F]{6}", background) is not None


def background_file(background: str) -> Path | None:
    """The image file that the setting `background` names, if it does."""
    named = background in (PORTRAIT_BACKGROUND, TRANSPARENT) or is_colour(background)
    return None if named else user_path(background)


# tables of settings
# fmt: off


@dataclass(frozen=True)
class SpeechEncoderConfig(Config):
    """Sizes of the wav2vec 2.0 speech encoder; the defaults are its base model."""

    hidden_dim: int = setting(768, "width of the transformer", low=1)
    layers: int = setting(12, "transformer layers", low=1)
    heads: int = setting(12, "attention heads", low=1)
    feed_forward_dim: int = setting(3072, "width of the feed-forward layers", low=1)
    conv_dim: int = setting(512, "width of the convolutions", low=1)
    position_groups: int = setting(16, "groups of the positional convolution", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, of in (("heads", self.heads), ("position_groups", self.position_groups)):
            require(name, of, f"a divisor of {self.hidden_dim}", self.hidden_dim % of == 0)


@dataclass(frozen=True)
class AutoencoderConfig(Config):
    """Sizes of the motion autoencoder; the defaults are the released model's."""

    image_size_px: int = setting(512, "side of its images, a power of two", unit="px")
    directions: int = setting(20, "directions of motion in the latent space", low=1)
    channel_limit: int = setting(512, "width of the widest layer; tests make it small", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = (16, 32, 64, 128, 256, 512, 1024)
        size = self.image_size_px
        require("image_size_px", size, f"one of {', '.join(map(str, sizes))}", size in sizes)


@dataclass(frozen=True)
class ModelConfig(Config):
    """Sizes of the networks; a checkpoint carries its own. The defaults are the compact preset."""

    motion_dim: int = setting(23, "width of a frame's motion", low=1)
    audio_dim: int = setting(128, "width of a frame's audio features", low=1)
    hidden_dim: int = setting(192, "width of the flow transformer", low=1)
    heads: int = setting(4, "its attention heads", low=1)
    blocks: int = setting(4, "its transformer blocks", low=1)
    mlp_ratio: float = setting(4.0, "width of its MLPs, in multiples of hidden_dim", above=0)
    condition_heads: int = setting(4, "attention heads of the condition encoder", low=1)
    motion_space: str = setting("rig", "rig: coefficients of the face rig; latent: latents of a "
        "motion autoencoder", choices=MOTION_SPACES)
    audio_encoder: str = setting("mel", "mel: a small causal network, trained with the rest; "
        "wav2vec2: the released one", choices=AUDIO_ENCODERS)
    speech_encoder: SpeechEncoderConfig = part(SpeechEncoderConfig)
    autoencoder: AutoencoderConfig = part(AutoencoderConfig)
    block_frames: int = setting(3, "frames of a block", low=1)
    first_block_frames: int = setting(3, "frames of a conversation's first block", low=1)
    window_frames: int = setting(50, "frames that attention covers", low=1)
    look_ahead_frames: int = setting(2, "frames of audio beyond a frame that it sees", low=1)
    block_causal: bool = setting(True, "whether what a frame sees ends with its own block for "
        "good")
    """The paper's last two frames of a block are looked at again beside the next one; without that
    a stream computes nothing twice, and training can show every block of a clip its clean past at
    once."""
    condition_ages: bool = setting(True, "whether the condition encoder knows how old its input "
        "is")
    """The paper's does not: a smile that begins and one that ends a second ago are the same to
    it."""
    condition_history_frames: int = setting(25, "frames before a block whose conditions are "
        "embedded with it")
    """The paper has its two frames of context; a second of the user's past is what a reaction
    after 200 to 600 ms is due to."""
    avatar_audio_delay_frames: int = setting(2, "frames by which the avatar's speech is shown and "
        "heard later than it came", low=0)

    @property
    def context_frames(self) -> int:
        """Frames before a block that are computed again beside it."""
        return 0 if self.block_causal else self.look_ahead_frames

    @property
    def cache_frames(self) -> int:
        """Self-attention memory: what of a window is neither new nor recomputed context."""
        return self.window_frames - self.block_frames - self.context_frames

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, of in (("hidden_dim", 2 * self.heads), ("audio_dim", self.condition_heads)):
            value = getattr(self, name)
            require(name, value, f"a multiple of {of}", value % of == 0)
        ahead = self.look_ahead_frames
        for name, least in (
            ("first_block_frames", ahead + self.context_frames),
            ("condition_history_frames", ahead),
            ("block_frames", ahead),
        ):
            value = getattr(self, name)
            require(name, value, f"at least {least}", value >= least)
        fits = self.cache_frames > 0
        require("window_frames", self.window_frames, "more than a block and its context", fits)


@dataclass(frozen=True)
class SamplingConfig(Config):
    """How motion is drawn from the model."""

    nfe: int = setting(10, "function evaluations a block, the pass that fills the cache included "
        "(paper: 10)", low=3, high=1000, **SAMPLED, formerly="evaluations", old_flag="--steps")
    """nfe - 2 solver steps, a last one that moves nothing, and one pass for the cache."""
    schedule_power: float = setting(2.0, "1 spaces the noise levels evenly; more makes the last "
        "steps shorter, which leaves less jitter in the motion (paper: 1)", low=0.5, high=4.0,
        **SAMPLED)
    solver: str = setting("adams", "adams also uses the velocity of the step before, which keeps "
        "more of the motion's variance with few steps (paper: euler)", choices=SOLVERS, **SAMPLED)
    """Adams-Bashforth, second order. With few steps Euler's method loses a third of the motion's
    variance, this one far less, for the same evaluations."""
    guidance: str = setting("user", "both conditions together, apart (paper: separate), or the "
        "user alone beside the avatar's speech",
        choices=GUIDANCE_MODES, **SAMPLED)
    """Users are answered more, for a second row beside the first in each evaluation."""
    audio_guidance: float = setting(1.0, "strength of the avatar's speech; with joint guidance, "
        "of everything (paper: 2)", low=-10.0, high=10.0, **SAMPLED)
    user_guidance: float = setting(1.75, "strength of the user; not with joint guidance",
        low=-10.0, high=10.0, **SAMPLED)
    seed: int = setting(0, "the same seed and inputs give the same motion, bit for bit; a live "
        "conversation takes it with fresh_seed off", low=0)


@dataclass(frozen=True)
class AnchorConfig(Config):
    """What keeps motion from drifting over hours (see `streaming.motion_anchor`)."""

    enabled: bool = setting(True, "hold the slow mean of the motion near the portrait's own")
    dead_band: float = setting(1.5, "how far the slow mean of a motion channel may stray from the "
        "reference before it is held, in multiples of the channel's own usual range", above=0)
    mean_s: float = setting(20.0, "time over which the slow mean is taken", unit="s", above=0)
    return_s: float = setting(4.0, "time in which what is beyond the dead band is brought back",
        unit="s", above=0)


@dataclass(frozen=True)
class LiveConfig(Config):
    """How a live avatar keeps time."""

    deadline_ms: float = setting(80.0, "how long inputs missing at a block's end are waited for; "
        "a microphone that sends longer chunks, until one can have come", unit="ms", low=0.0,
        high=5000.0)
    gather_ms: float = setting(200.0, "how long the first inputs are collected before media time "
        "begins with the earliest", unit="ms", low=0.0, high=5000.0)
    fresh_seed: bool = setting(True, "whether each live conversation draws motion with a seed of "
        "its own, which the log and avatar/state tell; else, and in a replay, with the one given")
    keep_pace: bool = setting(True, "whether to compute less, and to leave out what is late, "
        "where time is short", offered=False)
    """A replay does not: it gives the same result however slow the machine is, and looks at every
    image."""


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
            nfe=10,
            schedule_power=1.0,
            solver="euler",
            guidance="separate",
            audio_guidance=2.0,
            user_guidance=1.0,
        ),
    ),
}


@dataclass(frozen=True)
class AvatarConfig(Config):
    """A whole avatar: which weights, which face, how sampled, how large, how it keeps time."""

    preset: str = setting("compact", "model: compact ships with the package and runs on a CPU; "
        "paper needs the authors' released weights and a GPU", choices=tuple(PRESETS))
    weights: str = setting("", "checkpoint file, or folder of released files; empty: the preset's "
        "own", file=True)
    portrait: str = setting("", "image file with a face; empty: the one that ships", file=True,
        live=True)
    face_landmarker: str = setting("", "FaceLandmarker's model file to track faces with; empty: "
        "the models inside mediapipe, else what 'avatar-forcing weights fetch face' downloaded",
        file=True)
    background: str = setting(PORTRAIT_BACKGROUND, "what is behind the head: portrait, its own; "
        "transparent; a colour #rrggbb; or an image file; paper draws its own alone")
    image_size_px: int = setting(512, "side of the square frames; paper draws at 512 alone",
        unit="px", low=128, high=2048, step=2)
    device: str = setting("auto", "where the networks run: cpu, cuda, cuda:0 …; auto: CUDA for "
        "the paper preset where there is one")
    """The compact model is as fast on a CPU."""
    precision: str = setting("auto", "number format of the networks; auto: bfloat16 for the paper "
        "preset on CUDA (its motion autoencoder float16), else float32", choices=PRECISIONS)
    fuse_kernels: bool = setting(False, "compile the chains of small operations in the paper "
        "preset's decoder into single kernels, on CUDA with Triton: less memory traffic, a longer "
        "first start, other rounding")
    """Off until it was measured on a GPU (`benchmarks.gpu_session` does)."""
    cpu_threads: int = setting(1, "threads of the networks on a CPU", low=1)
    """The compact model's matrices are small: on two cores a second thread gains a tenth in the
    median and quadruples the 95th percentile."""
    sampling: SamplingConfig = field(default=None)  # type: ignore[assignment]
    """The preset's own by default."""
    anchor: AnchorConfig = part(AnchorConfig, "anchor.")
    live: LiveConfig = part(LiveConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampling is None:
            object.__setattr__(self, "sampling", PRESETS[self.preset].sampling)
        text = self.background
        fits = is_colour(text) if text.startswith("#") else bool(text)
        require("background", text, "'portrait', 'transparent', a colour such as '#00b140' or an "
            "image file", fits)
        fits = self.preset != "paper" or text == PORTRAIT_BACKGROUND
        require("background", text, "'portrait' with the preset 'paper', whose decoder draws the "
            "background with the face", fits)


@dataclass(frozen=True)
class SpeechConfig(Config):
    """With which program and voice text is spoken."""

    speech_language: str = setting("en", "what is spoken where a text names no other language: "
        "one of 'espeak-ng --voices'")
    speech_voice: str = setting("", "voice of that language: one of espeak-ng's such as en-us, or "
        "a variant of any such as +f3; empty: the language's own")
    speech_command: str = setting("", "program to speak with: a sentence on its standard input, "
        "WAV on its standard output; {language}, {voice} and {rate} are put in, no shell is used; "
        "empty: espeak-ng")
    speech_piper_voice: str = setting("", "voice file (.onnx, its .json beside it) that piper is "
        "to speak with, instead of espeak-ng; speech_command wins over it", file=True)
    speech_timeout_s: float = setting(20.0, "how long the program may take for a sentence",
        unit="s", low=0.1, high=600.0)


VOICE_PROMPT = (
    "You talk with somebody by voice. Answer in one to three short sentences of plain text, in "
    "their language, without lists, markup or emoji."
)


@dataclass(frozen=True)
class ResponderConfig(Config):
    """What listens to the user of the page and answers them; nothing by default."""

    responder: str = setting("", "what answers: a program (conversation on its standard input, "
        "answer on its standard output), or a server with OpenAI's chat completions, such as "
        "http://localhost:11434/v1, or with its Realtime interface (ws://, wss://); empty: "
        "nothing")
    responder_model: str = setting("", "name of the server's model; empty: its own choice")
    responder_prompt: str = setting(VOICE_PROMPT, "what the model is told before the conversation")
    responder_key_file: str = setting("", "file with the key for the server; empty: the "
        "environment variable AVATAR_FORCING_RESPONDER_KEY, if there is one", file=True)
    responder_timeout_s: float = setting(20.0, "how long an answer, its next part or the user's "
        "words may take", unit="s", low=0.1, high=600.0)
    listener: str = setting("", "what writes down what the user says: a program (16 kHz mono "
        "PCM, 16 bits, on its standard input, text on its standard output), or a server with "
        "OpenAI's audio transcriptions, such as http://localhost:8000/v1, or with its Realtime "
        "interface (ws://, wss://); empty: nothing")
    listener_model: str = setting("", "name of the server's model; empty: its own choice")
    listener_key_file: str = setting("", "file with the key for the server; empty: the "
        "environment variable AVATAR_FORCING_LISTENER_KEY, if there is one", file=True)
    turn_pause_s: float = setting(0.7, "pause after which the user has finished", unit="s",
        low=0.2, high=5.0)
    barge_in: bool = setting(True, "the user may interrupt the avatar by their voice; else they "
        "are not heard while it speaks")


@dataclass(frozen=True)
class ServerConfig(Config):
    """How the web page is reached, and by whom."""

    host: str = setting("127.0.0.1", "address to listen on; one that others reach wants a token "
        "file")
    port: int = setting(8080, "port to listen on", low=1, high=65_535)
    token_file: str = setting("", "file with a word that the page asks for", file=True)
    tls_cert: str = setting("", "certificate (PEM), for https: browsers give camera and "
        "microphone of another machine to nothing else", file=True)
    tls_key: str = setting("", "the certificate's key (PEM)", file=True)
    trusted_proxy: str = setting("", "address or network of a proxy in front (several with commas "
        "between them), whose X-Forwarded-For is believed; else all behind it count as one")
    frame_ancestors: str = setting("", "origin of another site whose pages may show this one in a "
        "frame, such as https://shop.example (several with commas between them); empty: none")
    open_to_viewers: bool = setting(False, "watching wants no token; talking always does")
    open_health: bool = setting(False, "`/healthz` and `/readyz` want no token: they tell yes or "
        "no alone; `/metrics` always does, where there is one")
    max_viewers: int = setting(3, "who may watch beside the one who talks", low=0, high=16,
        formerly="most_viewers")


@dataclass(frozen=True)
class LiveServerConfig(ServerConfig):
    """The same of ``avatar-forcing live``, whose avatar is on this machine."""

    portraits: str = setting("", "folder of images to choose a portrait from on the page, beside "
        "those that ship", file=True)
    conversations: int = setting(1, "how many people talk at a time, each with an avatar of their "
        "own; with more than one nobody watches", low=1, high=64)


# fmt: on


def merged_config(
    file: Mapping[str, Any], flags: Mapping[str, Any], where: str = "configuration"
) -> AvatarConfig:
    """The avatar that plain values from a `file` and then from `flags` describe.

    Both may hold any part of the settings. What neither says about sampling is the preset's own.
    Raises ConfigError.
    """
    if not isinstance(file, Mapping):
        return from_mapping(AvatarConfig, file, where)  # says what is wrong with it
    given = merged(current_names(AvatarConfig, file), current_names(AvatarConfig, flags))
    preset = PRESETS.get(str(given.get("preset", AvatarConfig.preset)))
    own = {"sampling": dataclasses.asdict(preset.sampling)} if preset else {}
    return from_mapping(AvatarConfig, merged(own, given), where)
