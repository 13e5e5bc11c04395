"""What a set of synthetic conversations contains, as numbers for a data card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from avatar_forcing_ros.rig.coefficients import NAMES
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic.conversation import Conversation
from avatar_forcing_ros.training.synthetic.turns import PEOPLE
from avatar_forcing_ros.training.synthetic.visemes import closes_lips


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
