"""What a worker knows of the conversation that goes on; every conversation has its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from avatar_forcing_ros.media import AvatarBlock, AvatarFrame
from avatar_forcing_ros.runtime.metrics import VoiceMeter
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.sync.playout_delay import ChunkWait
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

HELD_INPUTS = 200  # of before the clock begins: pictures are large
# No conversation begins longer ago, whatever the first inputs' stamps are: one that was on its way
# while the clock jumped may be of another day, and all blocks since then would be made.
OLDEST_NS = 10_000_000_000


class Input(NamedTuple):
    """Something that came, and what takes it in, given its media time."""

    stamp_ns: int
    arrival_ns: int  # on the same clock; 0 before that has begun
    push: Callable[[int], None]


@dataclass
class Talk:
    """Counts, and where media time lies on the clock."""

    origin_ns: int | None = None  # clock time of media time zero
    held: list[Input] = field(default_factory=list)
    gather_until_ns: int | None = None
    voice: VoiceMeter = field(default_factory=VoiceMeter)
    user_voice: VoiceMeter = field(default_factory=VoiceMeter)
    microphone: ChunkWait = field(default_factory=ChunkWait)
    blocks: int = 0
    skipped_blocks: int = 0
    undrawn_frames: int = 0
    refused_inputs: int = 0
    looking_s: float = 0.0  # at pictures of the next block, so far

    def gather(self, inbox: list[Input], now_ns: int, gather_ns: int) -> list[Input]:
        """Hold inputs for `gather_ns`; then media time begins with the earliest, and all come out.

        None does, and there is no origin, until then.
        """
        if inbox and not self.held:
            self.gather_until_ns = None  # the first input has a window of its own
        self.held.extend(inbox)
        if now_ns <= 0:
            del self.held[:-HELD_INPUTS]  # the clock may never begin
            return []
        if self.gather_until_ns is None:
            self.gather_until_ns = now_ns + gather_ns
        if now_ns < self.gather_until_ns:
            return []
        # what came without a stamp before there was a clock came by now
        inbox = [one if one.stamp_ns > 0 else one._replace(stamp_ns=now_ns) for one in self.held]
        recent = [one.stamp_ns for one in inbox if one.stamp_ns >= one.arrival_ns - OLDEST_NS]
        self.origin_ns = min(recent, default=now_ns)
        self.held = []
        return inbox

    def frames_of(self, block: AvatarBlock) -> list[AvatarFrame]:
        """The frames of `block` on the clock, without their pictures."""
        assert self.origin_ns is not None
        first_ns = self.origin_ns + block.stamp_ns
        level, speaking = self.voice.hear(block.audio)
        return [
            AvatarFrame(
                stamp_ns=first_ns + i * FRAME_PERIOD_NS,
                block_index=block.motion.block_index,
                frame_in_block=i,
                latent=block.motion.latent[i],
                coefficients=block.coefficients[i],
                pixels=None,
                audio=block.audio[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME],
                speech_level=float(level[i]),
                speaking=bool(speaking[i]),
            )
            for i in range(len(level))
        ]

    def status(self, session: Session) -> AvatarStatus:
        """What is told of the conversation and its session."""
        voice, user = session.avatar_sound, session.user_sound
        motion, pictures = session.user_motion, session.pictures
        return AvatarStatus(
            blocks=self.blocks,
            skipped_blocks=self.skipped_blocks,
            undrawn_frames=self.undrawn_frames,
            filled_audio_samples=voice.filled_samples + user.filled_samples,
            filled_user_frames=pictures.filled_frames or motion.filled_frames,
            dropped_user_audio_samples=user.dropped_samples,
            dropped_avatar_audio_samples=voice.dropped_samples,
            dropped_pictures=pictures.dropped_frames + motion.dropped_frames,
            mended_samples=voice.sanitized_samples + user.sanitized_samples,
            refused_inputs=self.refused_inputs,
            waiting_voice_samples=voice.waiting_samples,
            face_visible=session.face_visible,
            microphone_chunk_ms=self.microphone.chunk_ns / 1e6,
        )
