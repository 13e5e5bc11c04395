"""Who hears what: the speaker the person before the robot, viewers both, and roles change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("aiortc")

from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.web.guest import Guest
from avatar_forcing_ros.web.hearing import KNEE, for_speaker, for_viewer, mixed
from avatar_forcing_ros.web.tracks import FULL_SCALE


def level(value: float) -> NDArray[np.float32]:
    return np.full(SAMPLES_PER_FRAME, value, np.float32)


@dataclass(frozen=True)
class PlainFrame:
    stamp_ns: int = 0
    pixels: None = None
    audio: NDArray[np.float32] = field(default_factory=lambda: level(0.125))
    robot_audio: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class TwoSounds(PlainFrame):
    robot_audio: NDArray[np.float32] | None = field(default_factory=lambda: level(0.25))


class TwoSoundStage:
    """As much of a stage as a guest looks at before it is connected."""

    has_view = wants_camera = False

    def now_ns(self) -> int:
        return 0

    def push_user_audio(self, chunk: object) -> None: ...

    def push_user_frame(self, frame: object) -> None: ...


def test_without_a_second_sound_everybody_hears_the_avatar() -> None:
    for frame in (PlainFrame(), TwoSounds(robot_audio=None)):
        assert for_speaker(frame) is for_viewer(frame) is frame.audio


def test_a_mixture_keeps_what_is_quiet_and_bends_what_is_loud() -> None:
    ramp = np.linspace(-1, 1, 2_001, dtype=np.float32)
    both = mixed(ramp, ramp)
    quiet = np.abs(2 * ramp) <= KNEE
    assert np.array_equal(both[quiet], 2 * ramp[quiet])
    assert both.dtype == np.float32
    assert np.abs(both).max() <= 1.0
    steps = np.diff(both)
    assert (steps >= 0).all()
    assert steps.max() < 0.0021  # nowhere does it jump


def test_who_hands_over_hears_both_from_then_on() -> None:
    async def loudness(guest: Guest, number: int) -> float:
        guest.sound.put(number, TwoSounds())
        pieces = [(await guest.sound.recv()).to_ndarray() for _ in range(2)]
        return float(np.concatenate(pieces).mean()) / FULL_SCALE

    async def check() -> None:
        stage: Any = TwoSoundStage()
        gone: list[Guest] = []
        viewer = Guest("viewer", stage, gone.append, local=True)
        speaker = Guest("speaker", stage, gone.append, local=True)
        assert await loudness(viewer, 0) == pytest.approx(0.375, abs=1e-3)
        assert await loudness(speaker, 0) == pytest.approx(0.25, abs=1e-3)
        await speaker.stop_speaking()
        assert await loudness(speaker, 1) == pytest.approx(0.375, abs=1e-3)
        for guest in (viewer, speaker):
            await guest.close()

    asyncio.run(check())
