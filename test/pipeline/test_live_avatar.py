"""A live avatar: begins, ends and begins again; what is said to nobody is told."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from test_worker import OnePixel
from tiny import tiny_engine

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.pipeline.live import LiveFrame
from avatar_forcing_ros.pipeline.live_avatar import LONGEST_WAITING_S, LiveAvatar
from avatar_forcing_ros.pipeline.session import Session
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

PATIENCE_S = 20.0


@pytest.fixture
def avatar() -> LiveAvatar:
    troubles: list[str] = []
    return LiveAvatar(Session(tiny_engine(), OnePixel()), troubles.append)  # type: ignore[arg-type]


def spoken(avatar: LiveAvatar, seconds: float) -> LiveFrame:
    """Have a noise said, and wait for the first frame in which it is heard."""
    came = threading.Event()
    loud: list[LiveFrame] = []

    def show(frame: LiveFrame) -> None:
        if np.abs(frame.audio).max() > 0.1:
            loud.append(frame)
            came.set()

    avatar.start(show)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE_HZ))
    assert avatar.say(noise.astype(np.float32)) == pytest.approx(seconds)
    assert came.wait(PATIENCE_S)
    return loud[0]


def test_it_can_begin_again_and_stops_what_it_says(avatar: LiveAvatar) -> None:
    avatar.warm_up()
    for _ in range(2):
        assert spoken(avatar, 60.0).stamp_ns <= avatar.now_ns()
        assert avatar.running
        assert avatar.stop_speaking().result(PATIENCE_S) > 50 * SAMPLE_RATE_HZ
        avatar.stop()
        assert not avatar.running
        assert avatar.status.blocks == 0


def test_what_nobody_hears_or_is_too_much_is_refused(avatar: LiveAvatar) -> None:
    with pytest.raises(MediaError, match="conversation that goes on"):
        avatar.say(np.zeros(100, np.float32))
    avatar.start(lambda frame: None)
    with pytest.raises(MediaError, match="let the avatar finish"):
        avatar.say(np.zeros((LONGEST_WAITING_S + 1) * SAMPLE_RATE_HZ, np.float32))
    avatar.stop()


def test_commands_are_done_at_once_while_it_rests(avatar: LiveAvatar) -> None:
    assert avatar.stop_speaking().result(0) == 0
    avatar.stop()
