"""Files in, video out: the same session as on a robot, run as fast as it goes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.media_files.motion_files import (
    Motion,
    check_motion_ending,
    read_motion,
    write_motion,
)
from avatar_forcing_ros.media_files.reading import (
    at_frame_rate,
    read_audio,
    read_video,
    video_length,
)
from avatar_forcing_ros.media_files.video_outputs import (
    FrameWriter,
    check_video_output,
    open_video,
)
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.timebase import (
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    frames_to_samples,
    samples_to_frames,
)

Progress = Callable[[int, int], None]
"""Called with frames done and frames in all."""


@dataclass(frozen=True)
class RenderInputs:
    """What is rendered. Audio is in memory, video is read as it is needed."""

    avatar_audio: NDArray[np.float32]  # [n] 16 kHz
    user_audio: NDArray[np.float32] | None = None  # [m] 16 kHz
    user_video: Path | None = None
    user_video_frames: int = 0  # at 25 fps, that the file holds
    user_video_stated_frames: int = 0  # as the file says; 0 where it does not
    user_motion: Motion | None = None  # instead of the video
    damage: tuple[str, ...] = ()  # what of audio or motion could not be used, a sentence each

    def frames(self, avatar_audio_delay_frames: int) -> int:
        """Frames until the longest input has ended, the avatar's audio after its delay."""
        avatar = samples_to_frames(len(self.avatar_audio)) + avatar_audio_delay_frames
        user = 0 if self.user_audio is None else samples_to_frames(len(self.user_audio))
        motion = self.user_motion.frames if self.user_motion else 0
        return max(avatar, user, self.user_video_frames, motion)


@dataclass(frozen=True)
class RenderResult:
    """What came out, frame by frame, and what it cost."""

    values: NDArray[np.float32]  # [T, K] the avatar's coefficients
    latent: NDArray[np.float32]  # [T, D]
    user_values: NDArray[np.float32]  # [T, K] the user's, as tracked
    avatar_audio: NDArray[np.float32]  # [640 T] in sync with the frames
    wall_s: float
    motion_s: tuple[float, ...]  # compute of each motion block
    tracked_frames: int  # images of the user
    face_found_frames: int  # those of them in which a face was found
    damage: tuple[str, ...] = ()  # what of the inputs could not be used, a sentence each

    @property
    def frames(self) -> int:
        return len(self.values)

    @property
    def real_time_factor(self) -> float:
        """Media time per wall time: above 1 is faster than real time."""
        return self.frames / FRAME_RATE_HZ / self.wall_s

    @property
    def face_seen_share(self) -> float | None:
        """The share of the user's images in which a face was found; None without any image."""
        return self.face_found_frames / self.tracked_frames if self.tracked_frames else None

    def report(self, seed: int) -> dict[str, float | int | list[str] | None]:
        """What a program may want to know of a rendering with `seed`."""
        return {
            "frames": self.frames,
            "seed": seed,
            "face_seen_share": self.face_seen_share,
            "real_time_factor": self.real_time_factor,
            "damage": list(self.damage),
        }


def read_inputs(
    avatar_audio: Path,
    user_audio: Path | None,
    user_video: Path | None,
    user_motion: Path | None = None,
) -> RenderInputs:
    """Read and check all inputs before anything is computed. Raises MediaError.

    A file of which a part is lost is used as far as it goes. `user_motion` is a motion file.
    """
    motion = read_motion(user_motion) if user_motion else None
    frames = stated_frames = 0
    if user_video is not None:
        next(read_video(user_video, lambda damage: None))  # one without frames is found out now
        length = video_length(user_video)
        frames = round(length.present_s * FRAME_RATE_HZ)
        stated_frames = round((length.stated_s or 0.0) * FRAME_RATE_HZ) if length.cut_off else 0
    lost: list[MediaError] = []
    avatar_samples = read_audio(avatar_audio, lost.append)
    user_samples = read_audio(user_audio, lost.append) if user_audio else None
    damage = [
        f"{what} is damaged, and what of it can be read was used ({got})"
        for what, got in dict.fromkeys((error.what, error.got) for error in lost)
    ]
    damage += [f"motion {user_motion}: {note}" for note in (motion.notes if motion else ())]
    inputs = RenderInputs(
        avatar_samples, user_samples, user_video, frames, stated_frames, motion, tuple(damage)
    )
    if len(inputs.avatar_audio) < SAMPLES_PER_FRAME:
        raise MediaError(
            f"audio {avatar_audio}",
            expected=f"at least one frame of audio ({1000 // FRAME_RATE_HZ} ms)",
            got=f"{len(inputs.avatar_audio) / SAMPLE_RATE_HZ * 1000:.1f} ms",
            remedy="give a longer file",
        )
    return inputs


def render(
    session: Session,
    inputs: RenderInputs,
    output: Path | None,
    *,
    motion: Path | None = None,
    beside_user: bool = False,
    progress: Progress = lambda done, total: None,
) -> RenderResult:
    """Run `session` over `inputs`; video to `output`, motion to `motion` (None: not written).

    With `beside_user` the person's video stands to the right of the avatar and their audio is
    mixed in. A video that turns out to be damaged is used as far as it goes. The endings of
    `output` and `motion` decide their formats. Raises OutputError, before anything is computed,
    where a file cannot be written, and where the room for it ends.
    """
    if motion:
        check_motion_ending(motion)
    size, has_alpha = session.codec.image_size_px, session.codec.has_alpha
    if output:
        check_video_output(output, has_alpha=has_alpha)
    session.push_avatar_audio(AudioChunk(inputs.avatar_audio, SAMPLE_RATE_HZ, 0))
    if inputs.user_audio is not None:
        session.push_user_audio(AudioChunk(inputs.user_audio, SAMPLE_RATE_HZ, 0))
    with ExitStack() as files:
        video = None
        if output:
            width = size * (2 if beside_user else 1)
            video = files.enter_context(open_video(output, width, size, has_alpha=has_alpha))
        arrays = files.enter_context(atomic_write(motion)) if motion else None
        result = _Run(session, inputs, video, beside_user).to_end(progress)
        if arrays:
            write_motion(arrays, result.values, result.latent)
        return result


class _Run:
    """One pass of a session over its inputs."""

    def __init__(
        self,
        session: Session,
        inputs: RenderInputs,
        writer: FrameWriter | None,
        beside_user: bool,
    ) -> None:
        self.session, self.inputs, self.beside_user = session, inputs, beside_user
        self.size = session.codec.image_size_px
        self.channels = 4 if session.codec.has_alpha else 3
        self.writer = writer
        self.user_video = _UserVideo(inputs) if inputs.user_video else None
        self._motion_rows = 0  # of the user's motion that the session has
        self.last_image = np.zeros((self.size, self.size, 3), np.uint8)

    def to_end(self, progress: Progress) -> RenderResult:
        started = time.perf_counter()
        total, done = self.inputs.frames(self.session.avatar_audio_delay_frames), 0
        rows: list[tuple[NDArray[np.float32], ...]] = []
        motion_s = []
        while done < total:
            block = self.session.engine.frames(self.session.state)
            keep = min(block, total - done)
            user_frames = self.user_video.take(block) if self.user_video else []
            for frame in user_frames:
                self.session.push_user_frame(frame)
            self._push_motion(done + block)
            made = self.session.next_block()
            user = self.session.codec.coefficients(self.session.last_user_motion)
            audio = made.audio[: frames_to_samples(keep)]
            parts = (made.coefficients, made.motion.latent, user)
            rows.append((*(p[:keep] for p in parts), audio))
            motion_s.append(made.motion.compute_s)
            if self.writer:
                self._write(self.session.draw(made, keep), audio, user_frames, done)
            done += keep
            progress(done, total)
        values, latent, user_values, audio = (np.concatenate(p) for p in zip(*rows, strict=True))
        wall_s = time.perf_counter() - started
        return RenderResult(
            values,
            latent,
            user_values,
            audio,
            wall_s,
            tuple(motion_s),
            self.session.tracked_frames,
            self.session.faces_seen,
            self.inputs.damage + (self.user_video.damage() if self.user_video else ()),
        )

    def _push_motion(self, end: int) -> None:
        """The user's motion up to frame `end`, with the stamps of its file."""
        motion = self.inputs.user_motion
        if motion is None:
            return
        stop = int(np.searchsorted(motion.stamps_s, end / FRAME_RATE_HZ))
        for i in range(self._motion_rows, stop):
            self.session.push_user_motion(motion.values[i], round(motion.stamps_s[i] * 1e9))
        self._motion_rows = stop

    def _write(
        self,
        pixels: NDArray[np.uint8],
        audio: NDArray[np.float32],
        user_frames: Sequence[VideoFrame],
        first_frame: int,
    ) -> None:
        assert self.writer
        if self.beside_user:
            side = self._user_side(user_frames, len(pixels))
            pixels = np.concatenate((pixels, side), axis=2)  # [T, S, 2 S, C]
            audio = _mixed(audio, self.inputs.user_audio, first_frame)
        self.writer.write(pixels, audio)

    def _user_side(self, user_frames: Sequence[VideoFrame], count: int) -> NDArray[np.uint8]:
        """The person's images ``[T, S, S, C]``, square; the last one stays to the end."""
        out = np.full((count, self.size, self.size, self.channels), 255, np.uint8)
        for i in range(count):
            if i < len(user_frames):
                self.last_image = _square(user_frames[i].pixels, self.size)
            out[i, ..., :3] = self.last_image
        return out


class _UserVideo:
    """The person's images at 25 fps, for as long as their file gives any."""

    def __init__(self, inputs: RenderInputs) -> None:
        assert inputs.user_video
        self.inputs = inputs
        self.lost: list[MediaError] = []
        self.frames = 0
        self._images = at_frame_rate(read_video(inputs.user_video, self.lost.append))

    def take(self, count: int) -> list[VideoFrame]:
        """The next `count` images, fewer at the end."""
        images = list(itertools.islice(self._images, count))
        self.frames += len(images)
        return images

    def damage(self) -> tuple[str, ...]:
        """What of the file could not be used; only known at its end."""
        stated = self.inputs.user_video_stated_frames
        if not self.lost and not stated:
            return ()
        used_s = self.frames / FRAME_RATE_HZ
        whole_s = max(stated, self.inputs.user_video_frames) / FRAME_RATE_HZ
        why = self.lost[0].got if self.lost else "the file ends there"
        parts = f", {len(self.lost)} parts of them lost" if len(self.lost) > 1 else ""
        return (
            f"video {self.inputs.user_video} is damaged ({why}): "
            f"{used_s:.1f} s of {whole_s:.1f} s could be used{parts}",
        )


def _square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle of `image` ``[H, W, 3]`` as a square of `size` pixels."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _mixed(
    avatar: NDArray[np.float32], user: NDArray[np.float32] | None, first_frame: int
) -> NDArray[np.float32]:
    """The avatar's audio with the person's of the same frames."""
    if user is None:
        return avatar
    begin = frames_to_samples(first_frame)
    theirs = user[begin : begin + len(avatar)]
    mixed = avatar + np.pad(theirs, (0, len(avatar) - len(theirs)))
    return np.clip(mixed, -1.0, 1.0).astype(np.float32)
