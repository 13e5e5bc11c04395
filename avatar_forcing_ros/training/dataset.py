"""Generated conversations on disk, and random windows of them as training batches."""

from __future__ import annotations

import multiprocessing
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import ConfigError, MediaError
from avatar_forcing_ros.files import whole_file
from avatar_forcing_ros.model.mel_encoder import MEL_PER_FRAME, SILENCE, MelEncoder
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.streaming.audio_window import MelWindow
from avatar_forcing_ros.training.synthetic import describe, generate_conversation

DURATION_S = 20.0
CARD_CONVERSATIONS = 60
# Conversations of one split never share a seed with the other.
FIRST_SEED = {"train": 0, "valid": 1_000_000}


def sound_features(samples: NDArray[np.float32]) -> NDArray[np.float16]:
    """The log-mel ``[4 T, 80]`` that a stream would hear of a whole clip ``[640 T]``."""
    window = MelWindow().push(samples)
    return window[MelEncoder.HISTORY_FRAMES * MEL_PER_FRAME :].astype(np.float16)


def _prepare_one(job: tuple[Path, int, str, float]) -> None:
    path, seed, split, natural_share = job
    talk = generate_conversation(seed, DURATION_S, split, natural_share)
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(
            file,
            avatar_mel=sound_features(talk.avatar_audio),
            user_mel=sound_features(talk.user_audio),
            avatar_motion=talk.avatar_motion.astype(np.float32),
            user_motion=talk.user_motion.astype(np.float32),
        )


def prepare(
    folder: Path, split: str, count: int, workers: int, natural_share: float = 0.0
) -> Iterator[Path]:
    """Make `count` conversations of `split` in `folder`, those already there left alone.

    `natural_share` of the training voices come from recorded speech (see `synthetic.speech`).
    Yields each path as it is finished, so that a caller can show progress.
    """
    if workers < 1 or not 0.0 <= natural_share <= 1.0:
        raise ConfigError(
            "conversations",
            expected="1 or more workers and a natural share in 0 … 1",
            got=f"{workers} and {natural_share}",
            remedy="correct the value",
        )
    first = FIRST_SEED[split]
    paths = [folder / f"{split}-{first + i:07d}.npz" for i in range(count)]
    share = natural_share if split == "train" else 0.0
    jobs = [(p, first + i, split, share) for i, p in enumerate(paths) if not p.exists()]
    yield from (p for p in paths if p.exists())
    if not jobs:
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for k, _ in enumerate(pool.imap(_prepare_one, jobs)):
            yield jobs[k][0]


def data_card(natural_share: float) -> dict[str, Any]:
    """What the training split contains, counted on its first conversations (see `describe`)."""
    talks = (
        generate_conversation(FIRST_SEED["train"] + i, DURATION_S, "train", natural_share)
        for i in range(CARD_CONVERSATIONS)
    )
    return describe(talks)


class Batch(NamedTuple):
    """Windows of T frames with what was heard and seen; motion in its own units."""

    motion: Tensor  # [B, T, D] the avatar's, to be learned
    reference: Tensor  # [B, D] the portrait's own motion: it is at rest
    avatar_mel: Tensor  # [B, 4 (7 + T), 80]
    user_mel: Tensor  # [B, 4 (7 + T), 80]
    user_motion: Tensor  # [B, T, D]


@dataclass(frozen=True)
class _Conversation:
    avatar_mel: NDArray[np.float16]
    user_mel: NDArray[np.float16]
    avatar_motion: NDArray[np.float32]
    user_motion: NDArray[np.float32]


class ConversationWindows:
    """All prepared conversations of a split, in memory, and random windows of them."""

    def __init__(self, folder: Path, split: str, config: ModelConfig) -> None:
        """Raises MediaError when `folder` holds no conversation of `split`."""
        paths = sorted(folder.glob(f"{split}-*.npz"))
        if not paths:
            raise MediaError(
                "training data",
                expected=f"files {split}-*.npz",
                got=f"none in {folder}",
                remedy="make them with 'avatar-forcing train data'",
            )
        self.config = config
        self.conversations = [_load(path) for path in paths]

    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation ``[D]`` of the avatars' motion."""
        motion = np.concatenate([c.avatar_motion for c in self.conversations])
        return motion.mean(0), np.maximum(motion.std(0), 1e-3)

    def batch(self, windows: int, rng: np.random.Generator) -> Batch:
        """`windows` random windows; starts may lie anywhere in a conversation."""
        frames = self.config.window_frames
        ahead = self.config.avatar_audio_delay_frames
        rows = []
        for _ in range(windows):
            talk = self.conversations[rng.integers(len(self.conversations))]
            start = int(rng.integers(len(talk.avatar_motion) - frames - ahead + 1))
            stop = start + frames
            rows.append(
                (
                    talk.avatar_motion[start:stop],
                    coefficients.neutral(),
                    _mel_window(talk.avatar_mel, start + ahead, frames),
                    _mel_window(talk.user_mel, start, frames),
                    talk.user_motion[start:stop],
                )
            )
        return _collate(rows)


def _load(path: Path) -> _Conversation:
    try:
        with np.load(path) as stored:
            return _Conversation(**{name: stored[name] for name in stored.files})
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise MediaError(
            f"conversation {path}",
            expected="a file made by 'avatar-forcing train data'",
            got=f"one that cannot be read ({type(error).__name__})",
            remedy="remove it and run that command again",
        ) from error


def _mel_window(mel: NDArray[np.float16], start: int, frames: int) -> NDArray[np.float32]:
    """Frames ``start - 7 … start + frames`` of `mel`, silence before its beginning."""
    first = (start - MelEncoder.HISTORY_FRAMES) * MEL_PER_FRAME
    window = mel[max(0, first) : (start + frames) * MEL_PER_FRAME].astype(np.float32)
    return np.pad(window, ((max(0, -first), 0), (0, 0)), constant_values=SILENCE)


def _collate(rows: Sequence[tuple[NDArray[np.float32], ...]]) -> Batch:
    return Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True)))
