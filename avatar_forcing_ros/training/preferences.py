"""Pairs for the preference step: real motion, and what the model made without the user.

No person labels anything. For the same voice the model answers once more with the user's sound and
motion withheld; what it then does cannot be an answer to the user, so real motion is preferred.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.errors import CheckpointError, MediaError
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.training.dataset import Batch, ConversationWindows
from avatar_forcing_ros.training.rollout import roll_out

TOGETHER = 32  # conversations that are rolled out as one batch


class Pairs(NamedTuple):
    """Windows as they were, and the losing motion ``[B, T, D]`` of the same windows."""

    winner: Batch
    loser: Tensor

    def to(self, device: torch.device) -> Pairs:
        """The same on `device`."""
        return Pairs(self.winner.to(device), self.loser.to(device))


class PairWindows:
    """Random windows of conversations whose losing samples have been made."""

    def __init__(self, windows: ConversationWindows, folder: Path) -> None:
        """`folder` is what `make_losing_samples` has filled for the first conversations.

        Raises MediaError where it holds none, or one of another length.
        """
        numbers = range(len(windows.conversations))
        paths = list(takewhile(Path.exists, (_path(folder, i) for i in numbers)))
        if not paths:
            raise MediaError(
                "losing samples",
                expected="files losing-*.npy",
                got=f"none in {folder}",
                remedy="run 'avatar-forcing train preference' again",
            )
        self._windows = windows
        self._losing = [np.load(path) for path in paths]
        for i, (path, motion) in enumerate(zip(paths, self._losing, strict=True)):
            wanted = windows.conversations[i].avatar_motion.shape
            if motion.shape != wanted:
                raise MediaError(
                    f"losing sample {path}",
                    expected=f"motion of shape {wanted}",
                    got=f"shape {motion.shape}",
                    remedy="remove it and run the command again",
                )

    def batch(self, count: int, rng: np.random.Generator) -> Pairs:
        """`count` random windows."""
        places = self._windows.places(count, rng, among=len(self._losing))
        frames = self._windows.config.window_frames
        losing = [self._losing[at.conversation][at.start : at.start + frames] for at in places]
        return Pairs(self._windows.windows(places), torch.from_numpy(np.stack(losing)))


def make_losing_samples(
    folder: Path,
    windows: ConversationWindows,
    model: MotionGenerator,
    sampling: SamplingConfig,
    count: int,
) -> Iterator[int]:
    """What `model` makes of the first `count` conversations without their users, to `folder`.

    Samples that are there already are kept. Yields how many are done as they come. Raises
    CheckpointError where those in `folder` came from another model or were drawn otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _require_same_origin(folder / "origin.json", model, sampling, windows)
    count = min(count, len(windows.conversations))
    wanted = [i for i in range(count) if not _path(folder, i).exists()]
    yield count - len(wanted)
    # equally long ones go together, so the order is by length
    wanted.sort(key=lambda i: windows.conversations[i].frames)
    for start in range(0, len(wanted), TOGETHER):
        group = wanted[start : start + TOGETHER]
        talks = [windows.conversations[i] for i in group]
        made = roll_out(model, sampling, talks, user=False, seeds=group)
        for i, motion in zip(group, made, strict=True):
            with atomic_write(_path(folder, i)) as part, part.open("wb") as file:
                np.save(file, motion)
            yield 1


def _path(folder: Path, conversation: int) -> Path:
    return folder / f"losing-{conversation:07d}.npy"


def _require_same_origin(
    path: Path, model: MotionGenerator, sampling: SamplingConfig, windows: ConversationWindows
) -> None:
    motions = (torch.from_numpy(talk.avatar_motion) for talk in windows.conversations)
    origin = {
        "model": _digest(model.state_dict().values()),
        "sampling": repr(sampling),
        "conversations": _digest(motions),
    }
    if not path.exists():
        with atomic_write(path) as part:
            part.write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")
    elif json.loads(path.read_text(encoding="utf-8")) != origin:
        raise CheckpointError(
            f"losing samples in {path.parent}",
            expected="samples of the model that is to be trained, drawn as it is sampled now, in "
            "these conversations",
            got="those of another",
            remedy="train into an empty folder, or remove that one",
        )


def _digest(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
