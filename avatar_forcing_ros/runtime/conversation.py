"""One conversation on a live clock: where its media time lies, what is due, what it has done."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.media import AvatarBlock, AvatarFrame
from avatar_forcing_ros.runtime.catching_up import CatchingUp
from avatar_forcing_ros.runtime.meters import SpeechMeter
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.sync.playout_delay import ChunkWait, ImageLag
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME, frame_stamp_ns

MAX_SEED = 2**31  # it is to be typed again
MAX_HELD_INPUTS = 200  # of before the clock begins: images are large
FAR_AHEAD_NS = 60_000_000_000  # of the clock: nothing waits for so long, and fills the memory
# No conversation begins longer ago, whatever the first inputs' stamps are: one that was on its way
# while the clock jumped may be of another day, and all blocks since then would be made.
MAX_AGE_NS = 10_000_000_000
# A replay's clock may run on while its inputs wait in a queue of a busy machine. So it gives up
# what is missing only when something later has come, or nothing for so long; of a round of the
# worker a moment counts, for in the rest of it nothing could be heard.
QUIET_S, ROUND_S = 0.5, 0.05
# Nothing tells that a command is on its way: a replay makes a block when something has come that
# is stamped so much later, or nothing for so long; the commands before that have come, too.
COMMAND_NS, COMMAND_QUIET_S = 200_000_000, 0.2


def draw_seed(config: LiveConfig) -> int | None:
    """The seed of a new conversation; None for that of the sampling configuration."""
    return secrets.randbelow(MAX_SEED) if config.fresh_seed and config.keep_pace else None


class Input(NamedTuple):
    """Something that came, and what takes it in, given its media time."""

    stamp_ns: int
    arrival_ns: int  # on the same clock; 0 before that has begun
    push: Callable[[int], None]


@dataclass
class Conversation:
    """What a worker knows of the conversation that goes on; every conversation has its own."""

    session: Session
    config: LiveConfig
    origin_ns: int | None = None  # clock time of media time zero
    held: list[Input] = field(default_factory=list)
    gather_until_ns: int | None = None
    newest_ns: int = 0  # stamp of the newest input
    quiet_s: float = 0.0  # since the last one, as far as was listened
    avatar_speech: SpeechMeter = field(default_factory=SpeechMeter)
    user_speech: SpeechMeter = field(default_factory=SpeechMeter)
    microphone: ChunkWait = field(default_factory=ChunkWait)
    image_lag: ImageLag = field(init=False)
    catching_up: CatchingUp = field(default_factory=CatchingUp)
    blocks: int = 0
    skipped_blocks: int = 0
    undrawn_frames: int = 0
    refused_inputs: int = 0
    tracking_s: float = 0.0  # spent on user frames of the next block, so far

    def __post_init__(self) -> None:
        self.image_lag = ImageLag(self.deadline_ns)

    def accept(self, inputs: list[Input], now_ns: int, on_warning: Callable[[str], None]) -> None:
        """Hand inputs to the session, on media time; until that has begun they are held."""
        self.newest_ns = max([self.newest_ns, *(one.stamp_ns for one in inputs)])
        if self.origin_ns is None:
            inputs = self._gather(inputs, now_ns)
        if self.origin_ns is None:
            return
        for stamp_ns, arrival_ns, push in inputs:
            try:
                ahead_ns = stamp_ns - (arrival_ns or now_ns)
                if ahead_ns > FAR_AHEAD_NS:
                    raise ValueError(f"stamped {ahead_ns / 1e9:.0f} s ahead")
                push(stamp_ns - self.origin_ns)
            except Exception as error:  # no input ends the avatar
                self.refused_inputs += 1
                on_warning(f"an input was left out: {error}")

    def _gather(self, inputs: list[Input], now_ns: int) -> list[Input]:
        """Hold inputs for a while; then media time begins with the earliest, and all come out.

        None does, and there is no origin, until then.
        """
        if inputs and not self.held:
            self.gather_until_ns = None  # the first input has a window of its own
        self.held.extend(inputs)
        if now_ns <= 0:
            del self.held[:-MAX_HELD_INPUTS]  # the clock may never begin
            return []
        if self.gather_until_ns is None:
            self.gather_until_ns = now_ns + round(1e6 * self.config.gather_ms)
        if now_ns < self.gather_until_ns:
            return []
        # what came without a stamp before there was a clock came by now
        inputs = [one if one.stamp_ns > 0 else one._replace(stamp_ns=now_ns) for one in self.held]
        recent = [one.stamp_ns for one in inputs if one.stamp_ns >= one.arrival_ns - MAX_AGE_NS]
        self.origin_ns = self._origin(min(recent, default=now_ns))
        self.held = []
        return inputs

    def _origin(self, start_ns: int) -> int:
        """Clock time of media time zero where the next block begins at `start_ns`.

        Or up to a block sooner, where the engine is shared: blocks of all conversations then end
        at the same moments of the clock, and are made together.
        """
        session = self.session
        origin_ns = start_ns - session.next_start_ns
        if session.engine.is_shared and self.config.keep_pace:
            block_ns = frame_stamp_ns(session.engine.config.block_frames)
            origin_ns -= (origin_ns + session.next_end_ns) % block_ns
        return origin_ns

    @property
    def deadline_ns(self) -> int:
        """How long after a block's end missing inputs are waited for, at least."""
        return round(1e6 * self.config.deadline_ms)

    def patience_ns(self) -> int:
        """How long after its end what the next block misses is waited for."""
        user_audio, wait_ns = self.session.user_audio_track, self.microphone.wait_ns
        return max(
            (
                wait_ns(self.deadline_ns) if track is user_audio else self.deadline_ns
                for track in self.session.missing()
            ),
            default=0,
        )

    def left_ns(self, now_ns: int) -> int | None:
        """How long until the next block's media time is over; None before media time begins."""
        if self.origin_ns is None:
            return None
        return self.origin_ns + self.session.next_end_ns - now_ns

    def is_due(self, now_ns: int) -> bool:
        """Whether the next block is to be made now."""
        left_ns = self.left_ns(now_ns)
        if left_ns is None or left_ns > 0:
            return False
        patience_ns = self.patience_ns()
        if left_ns + patience_ns > 0:
            return False
        if self.config.keep_pace:
            return True
        end_ns = now_ns + left_ns
        has_settled = not patience_ns or self._has_settled(end_ns + patience_ns)
        return has_settled and self._has_commands(end_ns)

    def listened(self, came: bool, took_s: float) -> None:
        """A round of the worker took so long, at whose end something came, or nothing."""
        self.quiet_s = 0.0 if came else self.quiet_s + min(took_s, ROUND_S)

    def _has_settled(self, until_ns: int) -> bool:
        """Whether what is stamped before `until_ns` has come if it ever will."""
        return self.newest_ns >= until_ns or self.quiet_s >= QUIET_S

    def _has_commands(self, until_ns: int) -> bool:
        """Whether commands stamped before `until_ns` have come, if anybody sends anything."""
        newest_ns = self.newest_ns
        later = not newest_ns or newest_ns >= until_ns + COMMAND_NS
        return later or self.quiet_s >= COMMAND_QUIET_S

    def behind_ns(self, now_ns: int) -> int:
        """How late the next block is, beyond what a microphone's chunks are waited for."""
        left_ns = self.left_ns(now_ns)
        assert left_ns is not None
        return -left_ns - (self.microphone.wait_ns(self.deadline_ns) - self.deadline_ns)

    def frames_of(self, block: AvatarBlock) -> list[AvatarFrame]:
        """The frames of `block` on the clock, without their images."""
        assert self.origin_ns is not None
        first_ns = self.origin_ns + block.stamp_ns
        level, speaking = self.avatar_speech.update(block.audio)
        return [
            AvatarFrame(
                stamp_ns=first_ns + i * FRAME_PERIOD_NS,
                pixels=None,
                audio=block.audio[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME],
                block_index=block.motion.block_index,
                frame_in_block=i,
                latent=block.motion.latent[i],
                coefficients=block.coefficients[i],
                speech_level=float(level[i]),
                speaking=bool(speaking[i]),
            )
            for i in range(len(level))
        ]

    def status(self) -> AvatarStatus:
        """What the conversation and its session have counted."""
        session = self.session
        avatar, user = session.avatar_audio_track, session.user_audio_track
        motion, images = session.user_motion, session.user_frames
        return AvatarStatus(
            seed=session.state.seed,
            blocks=self.blocks,
            skipped_blocks=self.skipped_blocks,
            undrawn_frames=self.undrawn_frames,
            filled_audio_samples=avatar.filled_samples + user.filled_samples,
            filled_user_frames=images.filled_frames or motion.filled_frames,
            dropped_user_audio_samples=user.dropped_samples,
            dropped_avatar_audio_samples=avatar.dropped_samples,
            dropped_user_frames=images.dropped_frames + motion.dropped_frames,
            sanitized_samples=avatar.sanitized_samples + user.sanitized_samples,
            refused_inputs=self.refused_inputs,
            waiting_avatar_audio_samples=avatar.waiting_samples,
            face_visible=session.face_visible,
            microphone_chunk_ms=self.microphone.chunk_ns / 1e6,
            microphone_wait_ms=self.microphone.wait_ns(self.deadline_ns) / 1e6,
        )
