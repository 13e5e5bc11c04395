"""Half-hour streams of the held-out conversations, so laid out that drift is all that differs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from avatar_forcing_ros.timebase import FRAME_RATE_HZ

STREAMS = 4
ENDS_S = 300.0


class DriftPlan(NamedTuple):
    """Which talks each stream has, one after another, and how many frames at its ends compare."""

    orders: tuple[tuple[int, ...], ...]
    window_frames: int


def drift_plan(talks: int, talk_frames: int, minutes: float, seed: int) -> DriftPlan:
    """Streams of `minutes` or a little more.

    The first and the last five minutes (thirds, where it is short) hold the same talks in another
    order: what differs between them is not what was said.
    """
    rng = np.random.default_rng(seed)
    slots = max(3, math.ceil(minutes * 60.0 * FRAME_RATE_HZ / talk_frames))
    ends = max(1, min(slots // 3, round(ENDS_S * FRAME_RATE_HZ / talk_frames)))
    orders = tuple(_order(rng, talks, slots, ends) for _ in range(STREAMS))
    return DriftPlan(orders, ends * talk_frames)


def _order(rng: np.random.Generator, talks: int, slots: int, ends: int) -> tuple[int, ...]:
    shuffled = [int(i) for _ in range(slots // talks + 1) for i in rng.permutation(talks)]
    first, middle = shuffled[:ends], shuffled[ends : slots - ends]
    return (*first, *middle, *(int(i) for i in rng.permutation(first)))
