"""How much voice may wait to be said."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

LONGEST_WAITING_S = 120


def waiting_with_s(waiting_samples: int, samples: NDArray[np.float32]) -> float:
    """How many seconds of voice wait with `samples`; MediaError where that would be too much."""
    waiting_s = (waiting_samples + len(samples)) / SAMPLE_RATE_HZ
    if waiting_s > LONGEST_WAITING_S:
        raise MediaError(
            "voice",
            expected=f"at most {LONGEST_WAITING_S} s that wait to be said",
            got=f"{waiting_s:.0f} s",
            remedy="let the avatar finish, or stop it",
        )
    return waiting_s


def nobody_listens() -> MediaError:
    """What is told to whoever has something said while nobody is there."""
    return MediaError(
        "voice",
        expected="a conversation that goes on",
        got="none",
        remedy="start one, then speak",
    )
