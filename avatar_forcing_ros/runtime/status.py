"""What a live avatar has done."""

from __future__ import annotations

from dataclasses import dataclass

from avatar_forcing_ros.runtime.degradation import QualityLevel


@dataclass(frozen=True)
class AvatarStatus:
    """What a live avatar has done since the conversation began, and is doing now.

    "User" is the person in front of the avatar; samples are of 16 kHz.
    """

    running: bool = False
    alive: bool = False
    """Whether the thread that makes blocks runs."""
    stalled_s: float = 0.0
    """How long that thread has not come round: it hangs where this is long."""
    seed: int = 0
    """What the motion of this conversation is drawn with: the same one repeats it."""
    blocks: int = 0
    late_blocks: int = 0
    """Blocks shown later than planned, which made the playout delay grow."""
    skipped_blocks: int = 0
    """Blocks of media time that were given up, because the avatar was far behind."""
    failed_blocks: int = 0
    """Blocks that could not be made, each of which began the conversation anew."""
    undrawn_frames: int = 0
    filled_audio_samples: int = 0
    filled_user_frames: int = 0
    dropped_user_audio_samples: int = 0
    dropped_avatar_audio_samples: int = 0
    dropped_user_frames: int = 0
    """They came too late, or faster than the face in them could be tracked."""
    failed_user_frames: int = 0
    """Tracking the face in them failed."""
    unsent_frames: int = 0
    """Images of the avatar that nobody took in time."""
    unsent_samples: int = 0
    sanitized_samples: int = 0
    """Input samples that were not finite."""
    refused_inputs: int = 0
    waiting_avatar_audio_samples: int = 0
    microphone_chunk_ms: float = 0.0
    """Length of the chunks of the user's audio, where they come when they are full."""
    microphone_wait_ms: float = 0.0
    """How long after a block's end that audio is waited for."""
    behind_ms: float = 0.0
    compute_ms: float = 0.0
    compute_p99_ms: float = 0.0
    playout_delay_ms: float = 0.0
    """How long after its media time a frame is shown."""
    sending_cpu_s: float = 0.0
    """Processor time that whoever takes the frames has used."""
    speaking: bool = False
    user_speaking: bool = False
    face_visible: bool = False
    quality: QualityLevel | None = None
    reduced: bool = False
    graph_delay_ms: float = 0.0
    """How long a frame takes over the ROS graph, where the avatar is elsewhere on it."""
    connected: bool = True
    """False where the avatar is elsewhere and nothing has come of it for seconds."""
    ended: bool = False
    """Its process has ended, and no other begins: the program has to be started again."""
    warning: str = ""
    """What keeps the avatar from being seen, in a few words; empty where nothing does."""
