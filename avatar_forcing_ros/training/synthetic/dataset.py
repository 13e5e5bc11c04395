"""Generated conversations to files, and what a set of them contains.

Conversations are seeded and made in parallel; those already there are left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import NAMES
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.dataset import (
    StoredConversation,
    audio_features,
    save_conversation,
)
from avatar_forcing_ros.training.synthetic.conversation import (
    Conversation,
    generate_conversation,
)
from avatar_forcing_ros.training.synthetic.turns import PEOPLE
from avatar_forcing_ros.training.synthetic.visemes import closes_lips
from avatar_forcing_ros.training.workers import run_jobs

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
    yield from (jobs[k][0] for k, _ in run_jobs(_make_one, jobs, workers))


def _make_one(job: tuple[Path, int, str, float]) -> None:
    path, seed, split, natural_share = job
    made = generate_conversation(seed, DURATION_S, split, natural_share)
    save_conversation(
        path,
        StoredConversation(
            "mel",
            audio_features(made.avatar_audio),
            audio_features(made.user_audio),
            made.avatar_motion,
            made.user_motion,
            coefficients.neutral(),
        ),
    )


def data_card(natural_share: float) -> dict[str, Any]:
    """What the training split contains, counted on its first conversations (see `describe`)."""
    conversations = (
        generate_conversation(FIRST_SEED["train"] + i, DURATION_S, "train", natural_share)
        for i in range(CARD_CONVERSATIONS)
    )
    return describe(conversations)


def describe(conversations: Iterable[Conversation]) -> dict[str, Any]:
    """Statistics of `conversations`, plain numbers only (it can be written as JSON or YAML).

    ``hours``; ``share`` of the time in which the avatar, the user, both or nobody speaks; for each
    person ``events_per_min`` by kind, phoneme and lip closure counts, and the mean, standard
    deviation, 1st and 99th percentile of each coefficient; the median ``reaction_delay_s`` of the
    avatar by kind. Raises ValueError for no conversations.
    """
    items = list(conversations)
    if not items:
        raise ValueError("describe: expected at least one conversation, got none")
    avatar = np.concatenate([item.avatar_speaking for item in items])
    user = np.concatenate([item.user_speaking for item in items])
    minutes = len(avatar) / FRAME_RATE_HZ / 60.0
    delays: dict[str, list[float]] = {}
    for item in items:
        for kind, who, cause_s, start_s in item.reactions:
            if who == "avatar":
                delays.setdefault(kind, []).append(start_s - cause_s)
    return {
        "conversations": len(items),
        "hours": round(minutes / 60.0, 3),
        "share": {
            "avatar_speaks": _rounded(avatar.mean()),
            "user_speaks": _rounded(user.mean()),
            "both_speak": _rounded((avatar & user).mean()),
            "nobody_speaks": _rounded((~avatar & ~user).mean()),
        },
        "reaction_delay_s": {kind: _rounded(np.median(delays[kind])) for kind in sorted(delays)},
        **{who: _person(items, who, minutes) for who in PEOPLE},
    }


def _person(items: list[Conversation], who: str, minutes: float) -> dict[str, Any]:
    counts = Counter(kind for item in items for kind, person, _ in item.events if person == who)
    phonemes = [p for item in items for p in getattr(item, f"{who}_phonemes")]
    motion = np.concatenate([getattr(item, f"{who}_motion") for item in items])
    low, high = np.percentile(motion, [1, 99], axis=0)
    return {
        "events_per_min": {kind: _rounded(counts[kind] / minutes) for kind in sorted(counts)},
        "phonemes": len(phonemes),
        "lip_closures": sum(closes_lips(ipa) for _, _, ipa in phonemes),
        "coefficients": {
            name: {
                "mean": _rounded(motion[:, k].mean()), "std": _rounded(motion[:, k].std()),
                "p01": _rounded(low[k]), "p99": _rounded(high[k]),
            }
            for k, name in enumerate(NAMES)
        },
    }  # fmt: skip


def _rounded(value: Any) -> float:
    return round(float(value), 4)
