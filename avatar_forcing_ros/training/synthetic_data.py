"""Generated conversations to files: seeded, in parallel, those already there left alone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.training.conversation_file import (
    StoredConversation,
    save_conversation,
    sound_features,
)
from avatar_forcing_ros.training.synthetic import describe, generate_conversation

DURATION_S = 20.0
CARD_CONVERSATIONS = 60
# Conversations of one split never share a seed with another's.
FIRST_SEED = {"train": 0, "valid": 1_000_000, "test": 2_000_000}


def make_conversations(
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
        for k, _ in enumerate(pool.imap(_make_one, jobs)):
            yield jobs[k][0]


def _make_one(job: tuple[Path, int, str, float]) -> None:
    path, seed, split, natural_share = job
    talk = generate_conversation(seed, DURATION_S, split, natural_share)
    save_conversation(
        path,
        StoredConversation(
            "mel",
            sound_features(talk.avatar_audio),
            sound_features(talk.user_audio),
            talk.avatar_motion,
            talk.user_motion,
            coefficients.neutral(),
        ),
    )


def data_card(natural_share: float) -> dict[str, Any]:
    """What the training split contains, counted on its first conversations (see `describe`)."""
    talks = (
        generate_conversation(FIRST_SEED["train"] + i, DURATION_S, "train", natural_share)
        for i in range(CARD_CONVERSATIONS)
    )
    return describe(talks)
