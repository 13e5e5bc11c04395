"""Conversations on disk, and random windows of them as training batches.

A file is a NumPy archive of ``avatar_motion`` and ``user_motion`` ``[T, D]``, the audio of both as
``avatar_mel`` and ``user_mel`` ``[4 T, 80]`` or ``avatar_wave`` and ``user_wave`` ``[640 T]``
(which of them is the audio encoder's choice), and in latent spaces the portrait's ``reference``
``[D]``, which in the rig's space is a face at rest.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.model.audio_encoders import BANDS, MEL_PER_FRAME, SILENCE, MelEncoder
from avatar_forcing_ros.streaming.audio_window import WAVE_FRAMES, MelWindow, WaveWindow
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

SPLITS = ("train", "valid")  # of stored conversations: files train-*.npz and valid-*.npz
AUDIO_KIND = {"mel": "mel", "wav2vec2": "wave"}  # by the configuration's audio encoder


@dataclass(frozen=True)
class StoredConversation:
    """T frames of two people; `kind` says what the audio is stored as, "mel" or "wave"."""

    kind: str
    avatar_audio: NDArray[np.float16]  # [4 T, 80] or [640 T]
    user_audio: NDArray[np.float16]  # the same
    avatar_motion: NDArray[np.float32]  # [T, D]
    user_motion: NDArray[np.float32]  # [T, D]
    reference: NDArray[np.float32]  # [D]

    @property
    def frames(self) -> int:
        return len(self.avatar_motion)


def audio_features(samples: NDArray[np.float32], kind: str = "mel") -> NDArray[np.float16]:
    """A whole clip ``[640 T]`` as the stream's audio window passes it on, levelled."""
    if kind == "mel":
        window = MelWindow().push(samples)
        return window[MelEncoder.HISTORY_FRAMES * MEL_PER_FRAME :].astype(np.float16)
    # the window is never shorter than its 2.4 s: what it holds from before is cut off
    padded = np.concatenate(
        [np.zeros(WAVE_FRAMES * SAMPLES_PER_FRAME, np.float32), samples.astype(np.float32)]
    )
    return WaveWindow().push(padded)[-len(samples) :].astype(np.float16)


def save_conversation(path: Path, conversation: StoredConversation) -> None:
    """Write `conversation` to `path`, whole or not at all."""
    kind = conversation.kind
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez(
            file,
            **{f"avatar_{kind}": conversation.avatar_audio},
            **{f"user_{kind}": conversation.user_audio},
            avatar_motion=conversation.avatar_motion,
            user_motion=conversation.user_motion,
            reference=conversation.reference,
        )


def load_conversation(path: Path, config: ModelConfig) -> StoredConversation:
    """The conversation in `path`, checked against the networks that it is to train.

    Raises MediaError for a damaged file and for one made for other networks.
    """
    kind = AUDIO_KIND[config.audio_encoder]
    try:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _unusable(path, f"one that cannot be read ({type(error).__name__})") from error
    frames = len(np.atleast_1d(arrays.get("avatar_motion", ())))
    audio = (frames * MEL_PER_FRAME, BANDS) if kind == "mel" else (frames * SAMPLES_PER_FRAME,)
    shapes = {
        "avatar_motion": (frames, config.motion_dim),
        "user_motion": (frames, config.motion_dim),
        "reference": (config.motion_dim,),
        f"avatar_{kind}": audio,
        f"user_{kind}": audio,
    }
    for name, shape in shapes.items():
        if name not in arrays:
            raise _unusable(path, f"no array '{name}'")
        if arrays[name].shape != shape:
            raise _unusable(path, f"'{name}' of shape {arrays[name].shape}, not {shape}")
        if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
            raise _unusable(path, f"'{name}' with values that are not numbers")
    motions = ("avatar_motion", "user_motion", "reference")
    return StoredConversation(
        kind,
        arrays[f"avatar_{kind}"],
        arrays[f"user_{kind}"],
        *(arrays[name].astype(np.float32) for name in motions),
    )


def _unusable(path: Path, got: str) -> MediaError:
    return MediaError(
        f"conversation {path}",
        expected="a file made for this preset by 'avatar-forcing train data' or 'prepare'",
        got=got,
        remedy="remove it and run that command again",
    )


class Batch(NamedTuple):
    """Windows of T frames of both people; motion in its own units.

    Audio is what the audio encoder takes: log-mel ``[B, 4 (7 + T), 80]``, or waves ``[B, 640 T]``.
    """

    motion: Tensor  # [B, T, D] the avatar's, to be learned
    reference: Tensor  # [B, D] the portrait's own motion
    avatar_audio: Tensor
    user_audio: Tensor
    user_motion: Tensor  # [B, T, D]

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return Batch(*(part.to(device) for part in self))


class WindowStart(NamedTuple):
    """Where a window begins: which conversation, and at which of its frames."""

    conversation: int
    frame: int


class ConversationWindows:
    """All conversations of a split, in memory, and windows of them."""

    def __init__(self, folder: Path, split: str, config: ModelConfig) -> None:
        """Raises MediaError when `folder` holds none of `split`, damaged or too short ones."""
        paths = sorted(folder.glob(f"{split}-*.npz"))
        if not paths:
            raise MediaError(
                "training data",
                expected=f"files {split}-*.npz",
                got=f"none in {folder}",
                remedy="make them with 'avatar-forcing train data' or 'avatar-forcing prepare'",
            )
        self.config = config
        self.conversations = [load_conversation(path, config) for path in paths]
        # the avatar's audio runs ahead of its motion
        self._needed_frames = config.window_frames + config.avatar_audio_delay_frames
        for path, conversation in zip(paths, self.conversations, strict=True):
            if conversation.frames < self._needed_frames:
                raise MediaError(
                    f"conversation {path}",
                    expected=f"at least one window and the audio delay, {self._needed_frames} "
                    "frames",
                    got=f"{conversation.frames} frames",
                    remedy="remove it",
                )

    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation ``[D]`` of the avatars' motion."""
        motion = np.concatenate([item.avatar_motion for item in self.conversations])
        # summed in double precision: in single the millionth frame hardly counts
        mean, std = motion.mean(0, dtype=np.float64), motion.std(0, dtype=np.float64)
        return mean.astype(np.float32), np.maximum(std, 1e-3).astype(np.float32)

    def starts(
        self, count: int, rng: np.random.Generator, among: int | None = None
    ) -> list[WindowStart]:
        """`count` random windows; they may begin anywhere in a conversation.

        `among` takes only the first so many conversations.
        """
        total = len(self.conversations) if among is None else among
        chosen = [int(rng.integers(total)) for _ in range(count)]
        room = [self.conversations[i].frames - self._needed_frames for i in chosen]
        return [
            WindowStart(i, int(rng.integers(frames + 1)))
            for i, frames in zip(chosen, room, strict=True)
        ]

    def windows(self, starts: Sequence[WindowStart]) -> Batch:
        """The windows that begin at `starts`."""
        rows = [self._window(self.conversations[i], frame) for i, frame in starts]
        parts = zip(*rows, strict=True)
        return Batch(*(torch.from_numpy(np.stack(part)) for part in parts))

    def batch(self, count: int, rng: np.random.Generator) -> Batch:
        """`count` random windows."""
        return self.windows(self.starts(count, rng))

    def _window(
        self, conversation: StoredConversation, start: int
    ) -> tuple[NDArray[np.float32], ...]:
        frames = self.config.window_frames
        ahead = start + self.config.avatar_audio_delay_frames
        cut = _mel_window if conversation.kind == "mel" else _wave_window
        return (
            conversation.avatar_motion[start : start + frames],
            conversation.reference,
            cut(conversation.avatar_audio, ahead, frames),
            cut(conversation.user_audio, start, frames),
            conversation.user_motion[start : start + frames],
        )


def _mel_window(mel: NDArray[np.float16], start: int, frames: int) -> NDArray[np.float32]:
    """Frames ``start - 7 … start + frames`` of `mel`, silence before its beginning."""
    first = (start - MelEncoder.HISTORY_FRAMES) * MEL_PER_FRAME
    window = mel[max(0, first) : (start + frames) * MEL_PER_FRAME].astype(np.float32)
    return np.pad(window, ((max(0, -first), 0), (0, 0)), constant_values=SILENCE)


def _wave_window(wave: NDArray[np.float16], start: int, frames: int) -> NDArray[np.float32]:
    samples = slice(start * SAMPLES_PER_FRAME, (start + frames) * SAMPLES_PER_FRAME)
    return wave[samples].astype(np.float32)
