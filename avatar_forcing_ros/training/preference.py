"""The preference step (diffusion DPO): real motion over what cannot be an answer to the user.

No person labels anything. For the same speech the model answers once more with the user's audio
and motion withheld, or with those of somebody else; what it then does is no answer to this user,
so real motion is preferred.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.errors import CheckpointError, MediaError
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.training.dataset import Batch, ConversationWindows
from avatar_forcing_ros.training.losses import (
    Corruption,
    Metrics,
    channel_scales,
    draw_corruption,
    flow_matching_loss,
    frame_weight,
    training_attention,
    velocity_error,
)
from avatar_forcing_ros.training.rollout import Motion, roll_out_features
from avatar_forcing_ros.training.settings import PreferenceConfig

ROLLOUT_BATCH = 32  # conversations at a time


class Pairs(NamedTuple):
    """Windows as they were, and the losing motion ``[B, T, D]`` of the same windows."""

    winner: Batch
    loser: Tensor

    def to(self, device: torch.device) -> Pairs:
        """The same on `device`."""
        return Pairs(self.winner.to(device), self.loser.to(device))


class Preference(nn.Module):
    """Diffusion-DPO in velocity form (arXiv 2311.12908).

    The winner is a window as it was, the loser what the model itself makes of the same speech
    without the user, or before another one. With both under the same noise, a network comes nearer
    to the winner, and not to the loser, than the frozen `before` is. The flow-matching loss of the
    winner keeps it a generator.
    """

    scales: Tensor

    def __init__(
        self,
        model: MotionGenerator,
        before: MotionGenerator,
        preference: PreferenceConfig,
    ) -> None:
        super().__init__()
        self.model, self.before = model, before.requires_grad_(False)
        self.training_config, self.preference = preference.training, preference
        scales = channel_scales(model.config, preference.training)
        self.register_buffer("scales", scales, persistent=False)

    def forward(self, pairs: Pairs, generator: torch.Generator) -> Metrics:
        """The loss of a batch of pairs, and how often and how clearly the winner is preferred."""
        winner = pairs.winner
        count, device = len(winner.motion), winner.motion.device
        drawn = draw_corruption(count, self.model.config, self.training_config, generator, device)
        with training_attention(device):
            error_w, error_l = self._errors(self.model, pairs, drawn)
            with torch.no_grad():
                before_w, before_l = self._errors(self.before, pairs, drawn)
        weight = frame_weight(drawn, self.training_config)

        def size(error: Tensor) -> Tensor:
            """Weighted mean square of each window ``[B]``, 0 where it has no noise."""
            total = (weight * error.square().mean(dim=-1)).sum(dim=1)
            return total / weight.sum(dim=1).clamp_min(1e-6)

        towards = size(error_w) - size(before_w)  # below 0: nearer to the winner than before
        away = size(error_l) - size(before_l)
        beta = self.preference.beta
        margin = -beta * (towards - away)
        # scaled so that at the beginning a change counts as much as it does in the flow loss
        preferred = -2.0 / beta * functional.logsigmoid(margin).mean()
        flow = flow_matching_loss(error_w, drawn, self.training_config)
        return {
            "loss": preferred + self.preference.flow_weight * flow,
            "flow": flow,
            "preferred": (margin > 0).float().mean(),
            "margin": margin.mean(),
            "towards_winner": -towards.mean(),
            "towards_loser": -away.mean(),
        }

    def _errors(
        self, model: MotionGenerator, pairs: Pairs, drawn: Corruption
    ) -> tuple[Tensor, Tensor]:
        """Errors on the winners and on the losers under the same conditions and noise."""
        winner = velocity_error(model, pairs.winner, drawn)
        loser = velocity_error(model, pairs.winner._replace(motion=pairs.loser), drawn)
        return self.scales * winner, self.scales * loser


class PairWindows:
    """Random windows of conversations whose losing samples have been made."""

    def __init__(self, windows: ConversationWindows, folders: Sequence[Path]) -> None:
        """`folders` are what `make_losing_samples` has filled for the first conversations.

        Raises MediaError where one holds none, or one of another length.
        """
        self._windows = windows
        self._losing = [_load_samples(windows, folder) for folder in folders]

    def batch(self, count: int, rng: np.random.Generator) -> Pairs:
        """`count` random windows, and for each a losing sample of one kind or another."""
        starts = self._windows.starts(count, rng, among=min(map(len, self._losing)))
        frames = self._windows.config.window_frames
        kinds = rng.integers(len(self._losing), size=count)
        losing = [
            self._losing[kind][i][first : first + frames]
            for kind, (i, first) in zip(kinds, starts, strict=True)
        ]
        return Pairs(self._windows.windows(starts), torch.from_numpy(np.stack(losing)))


def _load_samples(windows: ConversationWindows, folder: Path) -> list[Motion]:
    numbers = range(len(windows.conversations))
    paths = list(takewhile(Path.exists, (_sample_path(folder, i) for i in numbers)))
    if not paths:
        raise MediaError(
            "losing samples",
            expected="files losing-*.npy",
            got=f"none in {folder}",
            remedy="run 'avatar-forcing train preference' again",
        )
    samples = [np.load(path) for path in paths]
    for i, (path, motion) in enumerate(zip(paths, samples, strict=True)):
        wanted = windows.conversations[i].avatar_motion.shape
        if motion.shape != wanted:
            raise MediaError(
                f"losing sample {path}",
                expected=f"motion of shape {wanted}",
                got=f"shape {motion.shape}",
                remedy="remove it and run the command again",
            )
    return samples


def make_losing_samples(
    folder: Path,
    windows: ConversationWindows,
    model: MotionGenerator,
    sampling: SamplingConfig,
    count: int,
    kind: str = "dropped",
) -> Iterator[int]:
    """What `model` makes of the first `count` conversations without their users, to `folder`.

    `kind` "dropped" shows nobody, "shuffled" the user of another of these conversations. Samples
    that are there already are kept. Yields how many are done as they come. Raises CheckpointError
    where those in `folder` came from another model or were drawn otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _require_same_origin(folder / "origin.json", model, sampling, windows)
    count = min(count, len(windows.conversations))
    wanted = [i for i in range(count) if not _sample_path(folder, i).exists()]
    yield count - len(wanted)
    # equally long ones go together, so the order is by length
    wanted.sort(key=lambda i: windows.conversations[i].frames)
    for start in range(0, len(wanted), ROLLOUT_BATCH):
        group = wanted[start : start + ROLLOUT_BATCH]
        conversations = [windows.conversations[i] for i in group]
        users = None
        if kind == "shuffled":
            users = [windows.conversations[(i + 1) % count] for i in group]
        made = roll_out_features(model, sampling, conversations, users=users, seeds=group)
        for i, motion in zip(group, made, strict=True):
            with atomic_write(_sample_path(folder, i)) as part, part.open("wb") as file:
                np.save(file, motion)
            yield 1


def _sample_path(folder: Path, conversation: int) -> Path:
    return folder / f"losing-{conversation:07d}.npy"


def _require_same_origin(
    path: Path, model: MotionGenerator, sampling: SamplingConfig, windows: ConversationWindows
) -> None:
    motions = (torch.from_numpy(item.avatar_motion) for item in windows.conversations)
    origin = {
        "model": _digest(model.state_dict().values()),
        "sampling": repr(sampling),
        "conversations": _digest(motions),
    }
    stored = path.read_text(encoding="utf-8") if path.exists() else ""
    if not stored:
        with atomic_write(path) as part:
            part.write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")
    elif json.loads(stored.replace("(evaluations=", "(nfe=")) != origin:  # its old name
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
