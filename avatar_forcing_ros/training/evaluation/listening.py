"""An avatar that only listens, before held-out users: whether its answers are to them.

Each of a few listeners meets every user, with the same draws of its own before all of them. Once
it sees their faces, once it only hears them: there the voice alone is to be answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avatar_forcing_ros.training.evaluation.entries import entry, rounded
from avatar_forcing_ros.training.metrics.bootstrap import (
    Array,
    Metric,
    difference,
    estimate,
    mean_of,
)
from avatar_forcing_ros.training.metrics.contingency import (
    CHANNELS,
    CONTINGENCIES,
    Contingency,
    ListeningClip,
    control_correlation,
    peak_correlation,
    response_rates,
    similarity,
)
from avatar_forcing_ros.training.rollout import Motion
from avatar_forcing_ros.training.synthetic import Conversation

SEEN_BY, HEARD_BY = (0, 1), (0,)  # the listeners who see the users, and those who only hear them


@dataclass(frozen=True)
class ListeningSet:
    """The users before each listener: one list of U conversations for each."""

    seen: Sequence[Sequence[Conversation]]
    heard: Sequence[Sequence[Conversation]]

    def truth(self) -> ListeningRollouts:
        """What the true listeners do."""
        return ListeningRollouts(
            *(
                [[item.avatar_motion for item in row] for row in rows]
                for rows in (self.seen, self.heard)
            )
        )


@dataclass(frozen=True)
class ListeningRollouts:
    """What was made of a `ListeningSet`: the avatar's motion in each; empty where it was not."""

    seen: Sequence[Sequence[Motion]]
    heard: Sequence[Sequence[Motion]]


def contingency(
    users: ListeningSet, made: Mapping[str, ListeningRollouts], full: str, drawn: Array
) -> dict[str, dict[str, Any]]:
    """``contingency`` and ``similarity_between_users`` of each variant in `made`.

    `full` names the one that others are compared with: theirs have ``worse_by``, paired over
    users. `drawn` ``[R, U]`` are resampled sets of users.
    """
    truth = users.truth()
    real = {kind.name: _rates(kind, users, truth) for kind in CONTINGENCIES}
    own = {kind.name: _rates(kind, users, made[full]) for kind in CONTINGENCIES}
    out: dict[str, dict[str, Any]] = {}
    for name, rollouts in made.items():
        found: dict[str, Any] = {}
        for kind in CONTINGENCIES:
            rates = own[kind.name] if name == full else _rates(kind, users, rollouts)
            true = real[kind.name]
            if rates is None or true is None:
                continue
            clips = _clips(kind, users, rollouts)
            found[kind.name] = {
                **entry(estimate(rates[0], drawn), true[0].value),
                "base_rate": rounded(rates[1].value),
                "base_rate_ground_truth": rounded(true[1].value),
                "correlation": rounded(peak_correlation(kind, clips)),
                "control": rounded(control_correlation(kind, clips)),
                "events": int(rates[0].per_clip[:, 1].sum()),
            }
            best = own[kind.name]
            if name != full and best is not None:
                gap = difference(best[0], rates[0], drawn)
                found[kind.name]["worse_by"] = {k: rounded(v) for k, v in gap._asdict().items()}
        out[name] = {"contingency": found}
        if rollouts.seen:
            out[name]["similarity_between_users"] = _similarity(rollouts, truth, drawn)
    return out


def _rates(
    kind: Contingency, users: ListeningSet, rollouts: ListeningRollouts
) -> tuple[Metric, Metric] | None:
    """Response and base rate, each with one row a user; None where nothing was made."""
    clips = _clips(kind, users, rollouts)
    if not clips:
        return None
    count = len(users.seen[0])
    return tuple(  # type: ignore[return-value]
        Metric(each.per_clip.reshape(-1, count, each.per_clip.shape[1]).sum(axis=0), each.score)
        for each in response_rates(kind, clips)
    )


def _clips(
    kind: Contingency, users: ListeningSet, rollouts: ListeningRollouts
) -> list[ListeningClip]:
    """All clips of a kind, listener after listener."""
    asked, made = (users.heard, rollouts.heard) if kind.heard else (users.seen, rollouts.seen)
    return [
        ListeningClip(item.user_motion, motion, item.user_speaking, _laughs(item))
        for row, motions in zip(asked, made, strict=False)
        for item, motion in zip(row, motions, strict=True)
    ]


def _laughs(conversation: Conversation) -> list[float]:
    return [t for kind, who, t in conversation.events if (kind, who) == ("laugh", "user")]


def _similarity(
    rollouts: ListeningRollouts, truth: ListeningRollouts, drawn: Array
) -> dict[str, Any]:
    """Mean over channels and listeners, and for each channel."""
    made, real = (
        {name: np.mean([similarity(row, name) for row in each.seen], axis=0) for name in CHANNELS}
        for each in (rollouts, truth)
    )
    together, true = (np.mean(list(each.values()), axis=0) for each in (made, real))
    return {
        **entry(estimate(mean_of(together), drawn), float(true.mean())),
        "channels": {
            name: entry(estimate(mean_of(values), drawn), float(real[name].mean()))
            for name, values in made.items()
        },
    }
