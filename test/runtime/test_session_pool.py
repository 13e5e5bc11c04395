"""Protects the weights that several avatars of a process share: loaded once, freed at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import AvatarForcingError, ConfigError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime import session_pool
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.runtime.session_pool import SessionPool
from avatar_forcing_ros.runtime.shared_weights import SharedWeights

CONFIG = AvatarConfig(image_size_px=128)
BEN = str(shipped("models/portraits/ben.png"))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[SharedWeights]:
    """All weights that were loaded."""
    found: list[SharedWeights] = []

    def load(config: AvatarConfig) -> SharedWeights:
        found.append(SharedWeights(config))
        return found[-1]

    monkeypatch.setattr(session_pool, "SharedWeights", load)
    return found


def test_each_session_is_as_it_would_be_alone(loaded: list[SharedWeights]) -> None:
    sampling = replace(CONFIG.sampling, seed=5, nfe=6)
    configs = [CONFIG, replace(CONFIG, portrait=BEN, sampling=sampling, background="#00b140")]
    shared = SessionPool()
    for config in configs:
        session = shared.open(config, user_video=False)
        alone = build_session(config, user_video=False)
        block, own = session.next_block(), alone.next_block()
        assert block.motion.motion.tobytes() == own.motion.motion.tobytes()
        assert np.array_equal(session.draw(block), alone.draw(own))
    assert (len(loaded), len(shared)) == (1, 2)


def test_weights_live_from_the_first_session_to_the_last(loaded: list[SharedWeights]) -> None:
    shared = SessionPool()
    first, second = (shared.open(CONFIG, user_video=False) for _ in range(2))
    shared.release(first)
    assert loaded[0].alive
    shared.release(second)
    shared.release(second)
    assert not loaded[0].alive
    third = shared.open(CONFIG, user_video=False)
    assert len(loaded) == 2
    third.next_block()
    shared.release(third)


def test_what_cannot_be_opened_leaves_the_others(loaded: list[SharedWeights]) -> None:
    shared = SessionPool()
    bad = replace(CONFIG, portrait="/no/such.png")
    with pytest.raises(AvatarForcingError):
        shared.open(bad)
    session = shared.open(CONFIG, user_video=False)
    with pytest.raises(AvatarForcingError):
        shared.open(bad)
    with pytest.raises(ConfigError, match="cpu_threads: expected 1, as the other avatars"):
        shared.open(replace(CONFIG, cpu_threads=2))
    session.next_block()
    assert (len(shared), len(loaded)) == (1, 1)
    shared.release(session)
    assert not loaded[0].alive
