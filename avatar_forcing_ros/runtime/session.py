"""One conversation: sound and pictures in, blocks of a living avatar out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.media import AudioChunk, AvatarBlock, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.degradation import QualityLevel, quality_levels
from avatar_forcing_ros.streaming.codec import MotionCodec
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.motion_anchor import AnchorState
from avatar_forcing_ros.sync.picture_track import MotionTrack, PictureTrack
from avatar_forcing_ros.sync.timeline import SoundTrack, Track, missing
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME, frame_stamp_ns


class Session:
    """A conversation on one clock that starts at media time zero.

    The avatar's voice is shown and heard `avatar_audio_delay_frames` after it came in, so that
    lips can get ready for a sound; the user is answered without that delay.
    """

    def __init__(
        self,
        engine: MotionEngine,
        codec: MotionCodec,
        *,
        user_audio: bool = True,
        user_video: bool = True,
    ) -> None:
        """`user_audio` and `user_video` say which of the user's streams exist at all."""
        self.engine, self.codec = engine, codec
        self._full_evaluations = engine.sampling.evaluations
        self._has_user_audio, self._has_user_video = user_audio, user_video
        self._keeps_all_pictures = False
        self.reset()

    def reset(self) -> None:
        """Begin a new conversation with the same weights and face."""
        self.state = self.engine.new_state(self.codec.reference)
        self.avatar_sound = SoundTrack(continuous=False)
        self.user_sound = SoundTrack()
        self.pictures = PictureTrack(bounded=not self._keeps_all_pictures)
        self.user_motion = MotionTrack(self.engine.config.motion_dim)
        unsaid = self.voice_delay_frames * SAMPLES_PER_FRAME
        self._unsaid = np.zeros(unsaid, np.float32)  # heard, not yet shown
        self.last_user_motion = np.zeros((0, self.engine.config.motion_dim), np.float32)
        self.last_user_sound = np.zeros(0, np.float32)
        self._skipped = 0  # frames of media time that no block was made for
        self.watched_pictures = self.faces_seen = 0
        self.face_visible = False
        self.codec.reset()

    def set_portrait(self, portrait: Portrait) -> None:
        """Go on with another face."""
        self.codec.prepare_portrait(portrait)
        self.state.reference = self.engine.reference(self.codec.reference)
        # how far the motion strays is measured from the new face
        anchor = AnchorState.new(self.state.reference)
        self.state.motion = replace(self.state.motion, anchor=anchor)

    def keep_all_pictures(self, keep: bool) -> None:
        """Whether pictures wait for their block however many they are: a replay loses none."""
        self._keeps_all_pictures = keep
        self.pictures.bounded = not keep

    def quality_levels(self) -> list[QualityLevel]:
        """From the full effort down: what may be computed less of where time is short."""
        return quality_levels(self._full_evaluations, self.codec.drawable_sizes_px)

    def set_sampling(self, sampling: SamplingConfig) -> None:
        """Draw motion in another way from the next block on, at the full effort."""
        self.engine.set_sampling(sampling)
        self._full_evaluations = sampling.evaluations

    def set_quality(self, quality: QualityLevel) -> None:
        """Compute the next blocks at one of `efforts`."""
        self.engine.set_sampling(replace(self.engine.sampling, evaluations=quality.nfe))
        self.codec.draw_at(quality.drawn_size_px)

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        """Sound that the avatar says, 16 kHz."""
        self.avatar_sound.push(chunk)

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Sound of the person in front of the avatar, 16 kHz."""
        self.user_sound.push(chunk)

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Picture of the person, in any order; see `look` for when it is looked at."""
        self.pictures.push(frame)

    def push_user_motion(self, motion: NDArray[np.float32], stamp_ns: int) -> None:
        """The person's motion ``[D]`` as somebody else has seen it, instead of pictures."""
        self.user_motion.push(motion, stamp_ns)

    @property
    def watches_apart(self) -> bool:
        """Whether `watch` may run in another thread while blocks are made.

        A network that sees latents would only wait there for the device that makes them.
        """
        return self.engine.config.motion_space == "rig"

    def watch(self, picture: VideoFrame) -> UserMotion:
        """The person's motion in the next picture of them; `push_seen` takes it in."""
        return self.codec.encode_user(picture)

    def push_seen(self, motion: UserMotion, stamp_ns: int) -> None:
        """What `watch` has told of a picture taken at `stamp_ns`."""
        self.user_motion.push(motion.values, stamp_ns)
        self.watched_pictures += 1
        self.faces_seen += motion.face_visible
        self.face_visible = motion.face_visible

    def missing(self) -> list[Track]:
        """The inputs of which something that the next block can expect has not come."""
        first = self.next_frame
        last = first + self.engine.frames(self.state) - 1
        tracks: list[Track] = [self.avatar_sound, self.user_sound, self.pictures]
        if not self.pictures.ever:
            tracks.append(self.user_motion)  # else it is made of the pictures
        return missing(tracks, first + self._skipped, last + self._skipped)

    def look(self) -> bool:
        """Look at the next picture of the next block now; whether there was one.

        Only at one that the block would see in any case, and in the block's own order: what the
        block will be stays the same bit for bit, it is only made sooner.
        """
        end = self.next_frame + self._skipped + self.engine.frames(self.state)
        picture = self.pictures.ahead(end)
        if picture:
            self._see(picture)
        return picture is not None

    def skip(self, frames: int) -> None:
        """Give up `frames` of all inputs unheard and unseen: the next block comes after them.

        But for a voice that waits to be said, which waits on.
        """
        self.avatar_sound.skip(frames)
        self.user_sound.skip(frames)
        self.pictures.skip(frames)
        self.user_motion.skip(frames)
        self._skipped += frames

    def stop_speaking(self) -> int:
        """Drop all voice that has not been shown; how many samples that were."""
        dropped = self.avatar_sound.clear() + int(np.count_nonzero(self._unsaid))
        self._unsaid = np.zeros_like(self._unsaid)
        return dropped

    def close(self) -> None:
        """Give back the face tracker's threads; another picture would start it again."""
        self.codec.close()

    @property
    def voice_delay_frames(self) -> int:
        """How much later than it came in the avatar's voice is shown and heard."""
        return self.engine.config.avatar_audio_delay_frames

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
        """The next block's motion, and the voice that belongs to it; `draw` makes pictures of it.

        Inputs that have not come are filled and counted.
        """
        frames = self.engine.frames(self.state)
        voice = self.avatar_sound.take(frames)
        self._watch(frames)
        user_sound = self.last_user_sound = self.user_sound.take(frames)
        heard = BlockInput(
            avatar_audio=voice,
            user_audio=user_sound if self._has_user_audio and self.user_sound.ever else None,
            user_motion=self.last_user_motion if self._sees_user else None,
        )
        motion = self.engine.step(self.state, heard)
        pending = np.concatenate((self._unsaid, voice))
        shown, self._unsaid = pending[: len(voice)], pending[len(voice) :]
        return AvatarBlock(
            motion=motion,
            coefficients=self.codec.coefficients(motion.motion),
            audio=shown,
            stamp_ns=frame_stamp_ns(motion.first_frame + self._skipped),
        )

    def _watch(self, frames: int) -> None:
        """Look at the rest of the block's pictures; take the motion that all or others told."""
        for picture in self.pictures.take(frames):
            self._see(picture)
        self.last_user_motion = self.user_motion.take(frames)

    def _see(self, picture: VideoFrame) -> None:
        self.push_seen(self.watch(picture), picture.stamp_ns)

    @property
    def _sees_user(self) -> bool:
        return self._has_user_video and self.user_motion.ever

    def draw(self, block: AvatarBlock, frames: int | None = None) -> NDArray[np.uint8]:
        """Pictures ``[T, S, S, 3]`` RGB of the first `frames` of `block`, by default of all."""
        return self.codec.decode(block.motion.motion[:frames])

    def drawn(self, block: AvatarBlock) -> Iterator[NDArray[np.uint8]]:
        """The same pictures in order, a few at a time: the first can be shown before the last.

        A warped portrait comes one by one; a network draws many at once in less time than singly.
        """
        motion = block.motion.motion
        at_once = 1 if self.engine.config.motion_space == "rig" else len(motion)
        for first in range(0, len(motion), at_once):
            yield from self.codec.decode(motion[first : first + at_once])
