"""A network that tells whether a listener answers this user or another: trained on truth alone.

It sees both motions and hears how loud the user is. It learned from listeners of the data before
their own user and before another one, the same person both times, so that nothing but the answers
can tell them apart. It never sees what a generator makes until it judges it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.rig.coefficients import COUNT
from avatar_forcing_ros.training.metrics.behaviour import SPEECH_DB, loudness
from avatar_forcing_ros.training.rollout import Motion
from avatar_forcing_ros.training.synthetic import Conversation

WIDTH, FEATURES, KERNEL, DILATIONS = 48, 24, 5, (1, 2, 4)
LAGS = range(0, 41, 2)  # frames, 0 to 1.6 s, by which an answer may follow
WINDOW_FRAMES = 150  # 6 s
BATCH, LEARNING_RATE = 32, 2e-3
NOISE = 0.3  # std of each motion, added in training: fine detail is not to be relied on


def user_of(conversation: Conversation) -> NDArray[np.float32]:
    """The user's side ``[T, K + 1]``: tracked motion, and the loudness of the voice, 0 to 1."""
    level = np.maximum(loudness(conversation.user_audio) - SPEECH_DB, 0.0) / -SPEECH_DB
    return np.concatenate([conversation.user_motion, level[:, None]], axis=1)


class _Tower(nn.Module):
    """What of one person's motion ``[B, T, C]`` matters to the other: features ``[B, F, T]``."""

    mean: Tensor  # [C]
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.enter = nn.Conv1d(2 * channels, WIDTH, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, KERNEL, dilation=d, padding=d * (KERNEL // 2))
            for d in DILATIONS
        )
        self.out = nn.Conv1d(WIDTH, FEATURES, 1)

    def forward(self, values: Tensor) -> Tensor:
        x = (values - self.mean) / self.std
        if self.training:
            x = x + NOISE * torch.randn_like(x)
        change = functional.pad(x.diff(dim=1), (0, 0, 1, 0))
        x = self.enter(torch.cat([x, 4.0 * change], dim=2).transpose(1, 2))  # [B, W, T]
        for layer in self.layers:
            x = x + functional.gelu(layer(x))
        features: Tensor = self.out(x)
        return features - features.mean(dim=2, keepdim=True)

    def scale_to(self, values: NDArray[np.float32]) -> None:
        """Take the units of `values` ``[N, C]``."""
        self.mean.copy_(torch.from_numpy(values.mean(axis=0)))
        self.std.copy_(torch.from_numpy(np.maximum(values.std(axis=0), 1e-2)))


class Judge(nn.Module):
    """How well a listener's motion answers a user's: greater is better, and no more.

    Both are looked at apart; the score is how their features go together at each lag.
    """

    def __init__(self) -> None:
        super().__init__()
        self.user, self.avatar = _Tower(COUNT + 1), _Tower(COUNT)
        self.weights = nn.Parameter(torch.full((len(LAGS), FEATURES), 1.0 / len(LAGS)))

    def forward(self, user: Tensor, avatar: Tensor) -> Tensor:
        """Scores ``[B]`` of `user` ``[B, T, K + 1]`` and `avatar` ``[B, T, K]``."""
        cause, effect = self.user(user), self.avatar(avatar)  # [B, F, T]
        frames = cause.shape[2]
        together = torch.stack(
            [(cause[..., : frames - k] * effect[..., k:]).mean(dim=2) for k in LAGS], dim=1
        )  # [B, L, F]
        return (together * self.weights).sum(dim=(1, 2))


def train_judge(
    users: Sequence[NDArray[np.float32]],
    listeners: Sequence[Sequence[Motion]],
    steps: int,
    seed: int = 0,
) -> Judge:
    """A judge that prefers each listener before its own user to itself before another.

    `listeners` has one list for each person: the motion before each of `users`, all equally long.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    judge = Judge()
    judge.user.scale_to(np.concatenate(users))
    judge.avatar.scale_to(np.concatenate([motion for row in listeners for motion in row]))
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    judge.train()
    for _ in range(steps):
        seen, own, other = _batch(users, listeners, rng)
        margin = judge(seen, own) - judge(seen, other)
        loss = functional.softplus(-margin).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval()


def _batch(
    users: Sequence[NDArray[np.float32]],
    listeners: Sequence[Sequence[Motion]],
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of users, and of a listener before them and before others ``[B, W, …]``."""
    rows = []
    for _ in range(BATCH):
        person = listeners[int(rng.integers(len(listeners)))]
        i, j = (int(k) for k in rng.choice(len(users), 2, replace=False))
        start = int(rng.integers(len(users[i]) - WINDOW_FRAMES + 1))
        span = slice(start, start + WINDOW_FRAMES)
        rows.append((users[i][span], person[i][span], person[j][span]))
    seen, own, other = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
    return seen, own, other


@torch.inference_mode()
def scores(
    judge: Judge, users: Sequence[NDArray[np.float32]], avatars: Sequence[Motion]
) -> NDArray[np.float64]:
    """The judge's score ``[U]`` of each meeting, all equally long."""
    pair = (torch.from_numpy(np.stack(part).astype(np.float32)) for part in (users, avatars))
    return judge(*pair).double().numpy()
