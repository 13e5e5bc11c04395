"""One conversation: audio and images in, blocks of a living avatar out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.media import AvatarBlock, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.degradation import QualityLevel, quality_levels
from avatar_forcing_ros.runtime.session_snapshot import session_from_bytes, session_to_bytes
from avatar_forcing_ros.streaming.asymmetry import uneven
from avatar_forcing_ros.streaming.codec import MotionCodec
from avatar_forcing_ros.streaming.directed_motion import DirectedMotion
from avatar_forcing_ros.streaming.engine import BlockEngine, BlockInput
from avatar_forcing_ros.streaming.motion_anchor import AnchorState
from avatar_forcing_ros.sync.image_track import ImageTrack, MotionTrack
from avatar_forcing_ros.sync.timeline import AudioTrack, Track, missing
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME, frame_stamp_ns

_REMEMBERED = (
    "state",
    "avatar_audio_track",
    "user_audio_track",
    "user_frames",
    "user_motion",
    "directed_motion",
    "last_user_motion",
    "last_user_audio",
    "_unspoken",
    "_skipped",
    "tracked_frames",
    "faces_seen",
    "face_visible",
)


class Session:
    """A conversation on one clock that starts at media time zero.

    The avatar's speech is shown and heard `avatar_audio_delay_frames` after it came in, so that
    lips can get ready for a sound; the user is answered without that delay.
    """

    def __init__(
        self,
        engine: BlockEngine,
        codec: MotionCodec,
        *,
        user_audio: bool = True,
        user_video: bool = True,
    ) -> None:
        """`user_audio` and `user_video` say which of the user's streams exist at all."""
        self.engine, self.codec = engine, codec
        self._full_nfe = engine.sampling.nfe
        self._has_user_audio, self._has_user_video = user_audio, user_video
        self._lossless = False
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Begin a new conversation with the same weights and face.

        `seed` is by default that of the sampling configuration.
        """
        self.state = self.engine.new_state(self.codec.reference, seed)
        self.avatar_audio_track = AudioTrack(continuous=False, lossless=self._lossless)
        self.user_audio_track = AudioTrack()
        self.user_frames = ImageTrack(lossless=self._lossless)
        self.user_motion = MotionTrack(self.engine.config.motion_dim, lossless=self._lossless)
        self.directed_motion = DirectedMotion()
        self._connect_inputs()
        unspoken = self.avatar_audio_delay_frames * SAMPLES_PER_FRAME
        self._unspoken = np.zeros(unspoken, np.float32)  # came in, not yet shown
        self.last_user_motion = np.zeros((0, self.engine.config.motion_dim), np.float32)
        self.last_user_audio = np.zeros(0, np.float32)
        self._skipped = 0  # frames of media time that no block was made for
        self.tracked_frames = self.faces_seen = 0
        self.face_visible = False
        self.codec.reset()

    def _connect_inputs(self) -> None:
        # the inputs, each stamped with media time, in any order: what goes in is a track's at once
        self.push_avatar_audio = self.avatar_audio_track.push  # AudioChunk, 16 kHz
        self.push_user_audio = self.user_audio_track.push  # the same
        self.push_user_frame = self.user_frames.push  # VideoFrame; tracked later: `track_ahead`
        self.push_user_motion = self.user_motion.push  # [D] and its stamp, instead of frames
        self.push_expression = self.directed_motion.push_expression  # Expression and its stamp
        self.push_gaze_target = self.directed_motion.push_gaze_target  # GazeTarget and its stamp

    def snapshot(self) -> bytes:
        """The conversation as it is between two blocks, for `restore` in any process.

        What has come and waits is in it, and what is commanded. Apart from it stay the portrait,
        the sampling, and what a face tracker knows of the user.
        """
        return session_to_bytes(self._remembered(), self.engine)

    def restore(self, snapshot: bytes) -> None:
        """Go on with the conversation of `snapshot`, of a session with the same weights and face.

        The same inputs then give the same bits. Raises ConversationError for bytes that are
        damaged or of another model; the conversation that was stays.
        """
        kept = session_from_bytes(snapshot, self.engine, self._remembered())
        vars(self).update(kept)
        self.set_lossless(self._lossless)
        self._connect_inputs()
        self.codec.reset()

    def _remembered(self) -> dict[str, Any]:
        """All that a conversation changes, by name."""
        return {name: vars(self)[name] for name in _REMEMBERED}

    def set_portrait(self, portrait: Portrait) -> None:
        """Go on with another face."""
        self.codec.prepare_portrait(portrait)
        self.state.reference = self.engine.reference(self.codec.reference)
        # how far the motion strays is measured from the new face
        anchor = AnchorState.new(self.state.reference)
        self.state.motion = replace(self.state.motion, anchor=anchor)

    def set_lossless(self, lossless: bool) -> None:
        """Whether nothing is lost, however much waits and however long: a replay."""
        self._lossless = lossless
        for track in (self.avatar_audio_track, self.user_frames, self.user_motion):
            track.lossless = lossless

    def quality_levels(self) -> list[QualityLevel]:
        """From full quality down: what may be computed less of where time is short."""
        sizes_px = self.codec.drawable_sizes_px
        return quality_levels(self._full_nfe, sizes_px, tracks_apart=self.tracks_apart)

    def set_sampling(self, sampling: SamplingConfig) -> None:
        """Draw motion in another way from the next block on, at full quality."""
        self.engine.set_sampling(sampling)
        self._full_nfe = sampling.nfe

    def set_quality(self, quality: QualityLevel) -> None:
        """Compute the next blocks at one of `quality_levels`, but for what is tracked apart."""
        self.engine.set_evaluations(quality.nfe)
        self.codec.draw_at(quality.drawn_size_px)

    @property
    def tracks_apart(self) -> bool:
        """Whether `track` may run in another thread while blocks are made.

        A network that sees latents would only wait there for the device that makes them.
        """
        return self.engine.config.motion_space == "rig"

    def track(self, frame: VideoFrame) -> UserMotion:
        """The user's motion in the next image of them; `push_tracked` takes it in."""
        return self.codec.encode_user(frame)

    def push_tracked(self, motion: UserMotion, stamp_ns: int) -> None:
        """The motion that `track` has found in an image taken at `stamp_ns`."""
        self.user_motion.push(motion.values, stamp_ns)
        self.tracked_frames += 1
        self.faces_seen += motion.face_visible
        self.face_visible = motion.face_visible

    def missing(self) -> list[Track]:
        """The inputs of which something that the next block can expect has not come."""
        first = self.next_frame
        last = first + self.engine.frames(self.state) - 1
        tracks: list[Track] = [self.avatar_audio_track, self.user_audio_track, self.user_frames]
        if not self.user_frames.started:
            tracks.append(self.user_motion)  # else it is made of the images
        return missing(tracks, first + self._skipped, last + self._skipped)

    def track_ahead(self) -> bool:
        """Track the face in the next image of the next block now; whether there was one.

        Only in one that the block would see in any case, and in the block's own order: what the
        block will be stays the same bit for bit, it is only made sooner.
        """
        end = self.next_frame + self._skipped + self.engine.frames(self.state)
        frame = self.user_frames.ahead(end)
        if frame:
            self._track(frame)
        return frame is not None

    def skip(self, frames: int) -> None:
        """Give up `frames` of all inputs unheard and unseen: the next block comes after them.

        But for avatar audio that waits for its turn, which waits on.
        """
        self.avatar_audio_track.skip(frames)
        self.user_audio_track.skip(frames)
        self.user_frames.skip(frames)
        self.user_motion.skip(frames)
        self._skipped += frames

    def stop_speaking(self) -> int:
        """Drop all avatar audio that has not been shown; how many samples that were."""
        dropped = self.avatar_audio_track.clear() + int(np.count_nonzero(self._unspoken))
        self._unspoken = np.zeros_like(self._unspoken)
        return dropped

    def close(self) -> None:
        """Give back the face tracker's threads; another image would start it again."""
        self.codec.close()

    @property
    def avatar_audio_delay_frames(self) -> int:
        """How much later than it came in the avatar's audio is shown and heard."""
        return self.engine.config.avatar_audio_delay_frames

    @property
    def next_start_ns(self) -> int:
        """Media time at which the next block begins."""
        return frame_stamp_ns(self.next_frame + self._skipped)

    @property
    def next_end_ns(self) -> int:
        """Media time at which the next block ends."""
        frames = self.next_frame + self._skipped + self.engine.frames(self.state)
        return frame_stamp_ns(frames)

    @property
    def next_frame(self) -> int:
        """Index of the first frame of the next block, counting frames that were made."""
        return self.state.motion.frame

    def next_block(self) -> AvatarBlock:
        """The next block's motion, and the audio that belongs to it; `draw` makes images of it.

        Inputs that have not come are filled and counted.
        """
        frames = self.engine.frames(self.state)
        avatar_audio = self.avatar_audio_track.take(frames)
        self._track_rest(frames)
        user_audio = self.last_user_audio = self.user_audio_track.take(frames)
        hears_user = self._has_user_audio and self.user_audio_track.started
        inputs = BlockInput(
            avatar_audio=avatar_audio,
            user_audio=user_audio if hears_user else None,
            user_motion=self.last_user_motion if self._sees_user else None,
        )
        motion = self.engine.step(self.state, inputs)
        if self.engine.config.motion_space == "rig":
            motion = uneven(motion, self.state.seed)
        pending = np.concatenate((self._unspoken, avatar_audio))
        shown, self._unspoken = pending[: len(avatar_audio)], pending[len(avatar_audio) :]
        stamp_ns = frame_stamp_ns(motion.first_frame + self._skipped)
        generated = self.codec.coefficients(motion.motion)
        values = self.directed_motion.apply(generated, shown, stamp_ns)
        if values is not generated:
            changed = self.codec.changed(motion.motion, values - generated)
            motion = replace(motion, motion=changed)
        return AvatarBlock(motion=motion, coefficients=values, audio=shown, stamp_ns=stamp_ns)

    def _track_rest(self, frames: int) -> None:
        """Track the rest of the block's images; take the motion found in all, or by others."""
        for frame in self.user_frames.take(frames):
            self._track(frame)
        self.last_user_motion = self.user_motion.take(frames)

    def _track(self, frame: VideoFrame) -> None:
        self.push_tracked(self.track(frame), frame.stamp_ns)

    @property
    def _sees_user(self) -> bool:
        return self._has_user_video and self.user_motion.started

    def draw(self, block: AvatarBlock, frames: int | None = None) -> NDArray[np.uint8]:
        """Images ``[T, S, S, C]`` of the first `frames` (all), as `MotionCodec.decode`."""
        return self.codec.decode(block.motion.motion[:frames])

    def drawn(self, block: AvatarBlock, every: int = 1) -> Iterator[NDArray[np.uint8] | None]:
        """The same images in order: the first can be shown before the last is drawn.

        With `every` of 2 or more only every so many-th frame of the conversation is drawn, with 0
        none; None stands for the others. A network that draws a whole block at once draws all.
        """
        motion = block.motion
        if every > 1 and self.engine.config.motion_space != "rig":
            every = 1
        numbers = range(motion.first_frame, motion.first_frame + len(motion.motion))
        drawn = [bool(every) and number % every == 0 for number in numbers]
        images = self.codec.drawn(motion.motion[drawn])
        for is_drawn in drawn:
            yield next(images) if is_drawn else None
