"""How a live avatar keeps time, and what it has done."""

from __future__ import annotations

from dataclasses import dataclass

from avatar_forcing_ros.runtime.degradation import Effort


@dataclass(frozen=True)
class LiveConfig:
    """How a live avatar keeps time."""

    deadline_ms: float = 80.0
    """How long after a block's end inputs that are still missing are waited for, at least; a
    microphone whose chunks are longer is waited for until one can have come (`chunk_wait`)."""
    gather_ms: float = 200.0
    """How long the first inputs are collected before the earliest of them begins media time."""
    keep_pace: bool = True
    """Whether to compute less, and to leave out what is late, where time is short. A replay does
    not: it gives the same result however slow the machine is, and looks at every picture."""


@dataclass(frozen=True)
class AvatarStatus:
    """What a worker has done since the conversation began."""

    blocks: int = 0
    skipped_blocks: int = 0
    undrawn_frames: int = 0
    failed_blocks: int = 0
    filled_audio_samples: int = 0
    filled_user_frames: int = 0
    dropped_user_audio_samples: int = 0
    dropped_avatar_audio_samples: int = 0
    dropped_pictures: int = 0
    """Of the person: they came too late, or faster than they could be looked at."""
    failed_pictures: int = 0
    """Of the person: looking at them failed."""
    unsent_pictures: int = 0
    """Of the avatar: nobody took them in time."""
    unsent_samples: int = 0
    mended_samples: int = 0
    refused_inputs: int = 0
    waiting_voice_samples: int = 0
    microphone_chunk_ms: float = 0.0
    """Length of the chunks of the person's sound, where they come when they are full."""
    microphone_wait_ms: float = 0.0
    """How long after a block's end that sound is waited for."""
    behind_ms: float = 0.0
    compute_ms: float = 0.0
    compute_p99_ms: float = 0.0
    speaking: bool = False
    user_speaking: bool = False
    face_visible: bool = False
    effort: Effort | None = None
    reduced: bool = False
    playout_delay_ms: float = 0.0
    """How long after its media time a frame is shown."""
    graph_delay_ms: float = 0.0
    """How long a frame takes over the ROS graph, where the avatar is elsewhere on it."""
    connected: bool = True
    """False where the avatar is elsewhere and nothing has come of it for seconds."""
    warning: str = ""
    """What keeps the avatar from being seen, in a few words; empty where nothing does."""
