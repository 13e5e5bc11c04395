"""Conversations on disk to training batches: random windows of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.model.audio_encoders import MEL_PER_FRAME, SILENCE, MelEncoder
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.conversation_file import StoredConversation, load_conversation


class Batch(NamedTuple):
    """Windows of T frames with what was heard and seen; motion in its own units.

    Sound is what the audio encoder takes: log-mel ``[B, 4 (7 + T), 80]``, or waves ``[B, 640 T]``.
    """

    motion: Tensor  # [B, T, D] the avatar's, to be learned
    reference: Tensor  # [B, D] the portrait's own motion
    avatar_sound: Tensor
    user_sound: Tensor
    user_motion: Tensor  # [B, T, D]

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return Batch(*(part.to(device) for part in self))


class Place(NamedTuple):
    """Where a window begins: which conversation, and at which of its frames."""

    conversation: int
    start: int


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
        shortest = config.window_frames + config.avatar_audio_delay_frames
        for path, talk in zip(paths, self.conversations, strict=True):
            if talk.frames < shortest:
                raise MediaError(
                    f"conversation {path}",
                    expected=f"at least one window and the voice's delay, {shortest} frames",
                    got=f"{talk.frames} frames",
                    remedy="remove it",
                )

    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation ``[D]`` of the avatars' motion."""
        motion = np.concatenate([talk.avatar_motion for talk in self.conversations])
        # summed in double precision: in single the millionth frame hardly counts
        mean, std = motion.mean(0, dtype=np.float64), motion.std(0, dtype=np.float64)
        return mean.astype(np.float32), np.maximum(std, 1e-3).astype(np.float32)

    def places(
        self, count: int, rng: np.random.Generator, among: int | None = None
    ) -> list[Place]:
        """`count` random windows; they may begin anywhere in a conversation.

        `among` takes only the first so many conversations.
        """
        most = len(self.conversations) if among is None else among
        frames = self.config.window_frames + self.config.avatar_audio_delay_frames
        chosen = [int(rng.integers(most)) for _ in range(count)]
        return [
            Place(i, int(rng.integers(self.conversations[i].frames - frames + 1))) for i in chosen
        ]

    def windows(self, places: Sequence[Place]) -> Batch:
        """The windows that begin at `places`."""
        rows = [self._window(self.conversations[place.conversation], place) for place in places]
        parts = zip(*rows, strict=True)
        return Batch(*(torch.from_numpy(np.stack(part)) for part in parts))

    def batch(self, count: int, rng: np.random.Generator) -> Batch:
        """`count` random windows."""
        return self.windows(self.places(count, rng))

    def _window(self, talk: StoredConversation, place: Place) -> tuple[NDArray[np.float32], ...]:
        frames, start = self.config.window_frames, place.start
        ahead = start + self.config.avatar_audio_delay_frames
        cut = _mel_window if talk.kind == "mel" else _wave_window
        return (
            talk.avatar_motion[start : start + frames],
            talk.reference,
            cut(talk.avatar_sound, ahead, frames),
            cut(talk.user_sound, start, frames),
            talk.user_motion[start : start + frames],
        )


def _mel_window(mel: NDArray[np.float16], start: int, frames: int) -> NDArray[np.float32]:
    """Frames ``start - 7 … start + frames`` of `mel`, silence before its beginning."""
    first = (start - MelEncoder.HISTORY_FRAMES) * MEL_PER_FRAME
    window = mel[max(0, first) : (start + frames) * MEL_PER_FRAME].astype(np.float32)
    return np.pad(window, ((max(0, -first), 0), (0, 0)), constant_values=SILENCE)


def _wave_window(wave: NDArray[np.float16], start: int, frames: int) -> NDArray[np.float32]:
    return wave[start * SAMPLES_PER_FRAME : (start + frames) * SAMPLES_PER_FRAME].astype(
        np.float32
    )
