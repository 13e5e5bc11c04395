"""A live avatar: begins, ends and begins again; what is said to nobody is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from test_worker import OnePixel
from tiny import tiny_engine

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import ConversationError, MediaError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame
from avatar_forcing_ros.runtime import avatar as live_avatar
from avatar_forcing_ros.runtime.avatar import LiveAvatar
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.waiting_voice import LONGEST_WAITING_S
from avatar_forcing_ros.runtime.worker import AvatarWorker
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ

PATIENCE_S = 20.0


@pytest.fixture
def avatar() -> LiveAvatar:
    troubles: list[str] = []
    return LiveAvatar(Session(tiny_engine(), OnePixel()), troubles.append)  # type: ignore[arg-type]


def spoken(avatar: LiveAvatar, seconds: float) -> AvatarFrame:
    """Have a noise said, and wait for the first frame in which it is heard."""
    came = threading.Event()
    loud: list[AvatarFrame] = []

    def show(frame: AvatarFrame) -> None:
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


class Stage:
    """A live avatar on a clock that the test moves, and the frames that were shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 10**12
        monkeypatch.setattr(LiveAvatar, "now_ns", staticmethod(lambda: self.now_ns))
        self.frames: list[AvatarFrame] = []
        self.troubles: list[str] = []
        self.session = Session(tiny_engine(), OnePixel())  # type: ignore[arg-type]
        config = LiveConfig(gather_ms=0.0)
        self.avatar = LiveAvatar(self.session, self.troubles.append, config)
        self.shown_ns: list[int] = []

    def show(self, frame: AvatarFrame) -> None:
        self.frames.append(frame)
        self.shown_ns.append(self.now_ns)

    @property
    def worker(self) -> AvatarWorker:
        assert self.avatar._worker
        return self.avatar._worker

    @property
    def pacer(self) -> Pacer:
        assert self.avatar._pacer
        return self.avatar._pacer

    def go_on(self, seconds: float) -> None:
        """Let time pass; the avatar has done by then what it does in it."""
        for _ in range(round(seconds * 25)):
            self.now_ns += FRAME_PERIOD_NS
            self.worker.tick()
            for _ in range(2):
                self.worker.call(lambda session: None).result(PATIENCE_S)
            while self.pacer._waiting and self.pacer._waiting[0][0] <= self.now_ns:
                time.sleep(0)  # until its thread has had its turn

    def waiting(self) -> list[AvatarFrame]:
        return [frame for _, frame in self.pacer._waiting]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage(monkeypatch)
    made.avatar.start(made.show)
    yield made
    made.avatar.stop()


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    size = round(seconds * SAMPLE_RATE_HZ)
    return np.random.default_rng(seed).uniform(0.1, 0.5, size).astype(np.float32)


def test_speech_that_comes_at_once_is_said_at_its_pace(stage: Stage) -> None:
    parts = [noise(0.7, seed) for seed in range(4)]
    stage.go_on(0.2)
    assert [round(stage.avatar.say(part), 1) for part in parts[:1]] == [0.7]
    for part in parts[1:]:
        stage.avatar.say(part)
    stage.go_on(4.0)
    heard = np.concatenate([frame.audio for frame in stage.frames])
    begin = int(np.flatnonzero(heard)[0])
    said = np.concatenate(parts)
    assert np.array_equal(heard[begin : begin + len(said)], said)
    assert not heard[begin + len(said) :].any()
    stamps = np.array([frame.stamp_ns for frame in stage.frames])
    assert set(np.diff(stamps)) == {FRAME_PERIOD_NS}
    assert np.all(np.array(stage.shown_ns) >= stamps)
    loud = [at_ns for frame, at_ns in zip(stage.frames, stage.shown_ns, strict=True)
            if frame.audio.any()]  # fmt: skip
    assert abs((loud[-1] - loud[0]) / 1e9 - 2.8) <= 0.2


@pytest.mark.parametrize("lag_ms", [0, 1500])
def test_when_told_to_stop_it_is_silent_at_once_whatever_waits(stage: Stage, lag_ms: int) -> None:
    """Frames that wait for their turn had the voice already; so had those being made."""
    stage.go_on(0.2)
    stage.avatar.say(noise(60.0))
    stage.go_on(1.0)
    stage.pacer.lag.lag_ns += lag_ms * 1_000_000
    stage.go_on(1.0)
    waiting = stage.waiting()
    if lag_ms:
        assert sum(bool(frame.audio.any()) for frame in waiting) > 10
    blocks, shown = stage.worker.status.blocks, len(stage.frames)
    assert stage.avatar.stop_speaking().result(PATIENCE_S) > 55 * SAMPLE_RATE_HZ
    assert not stage.waiting()[:1] or stage.waiting()[0].audio[-1] == 0.0  # it fades
    stage.go_on(3.0)
    assert stage.worker.status.blocks > blocks + 5
    after = stage.frames[shown + 1 :]
    assert len(after) > 30
    assert not any(frame.audio.any() for frame in after)
    assert not any(frame.speaking for frame in after[-20:])
    assert all(frame.pixels is not None for frame in after)
    again = noise(0.5, 9)
    stage.avatar.say(again)
    stage.go_on(4.0)
    heard = np.concatenate([frame.audio for frame in stage.frames[shown + 1 :]])
    begin = int(np.flatnonzero(heard)[0])
    assert np.array_equal(heard[begin : begin + len(again)], again)


def test_a_block_that_was_being_made_is_silent_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.go_on(0.2)
    stage.avatar.say(noise(60.0))
    stage.go_on(1.0)
    drawing, go_on = threading.Event(), threading.Event()
    decode = stage.session.codec.decode

    def slowly(motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        drawing.set()
        assert go_on.wait(PATIENCE_S)
        return decode(motion)

    monkeypatch.setattr(stage.session.codec, "decode", slowly)
    while not drawing.is_set():
        stage.now_ns += FRAME_PERIOD_NS
        stage.worker.tick()
        drawing.wait(0.05)
    stopped = stage.avatar.stop_speaking()
    shown = len(stage.frames)
    go_on.set()
    stopped.result(PATIENCE_S)
    stage.go_on(2.0)
    after = stage.frames[shown + 1 :]
    assert len(after) > 20
    assert not any(frame.audio.any() for frame in after)


def test_what_does_not_end_is_told_and_a_later_start_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(monkeypatch)
    avatar, hangs, go_on = stage.avatar, threading.Event(), threading.Event()
    step = stage.session.engine.step

    def hanging(*arguments: object) -> object:
        hangs.set()
        assert go_on.wait(PATIENCE_S)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stage.session.engine, "step", hanging)
    monkeypatch.setattr(live_avatar, "STOP_S", 0.01)
    avatar.start(stage.show)
    with pytest.raises(ConversationError, match="stop it first"):
        avatar.start(stage.show)
    avatar.push_user_audio(AudioChunk(np.zeros(16_000, np.float32), SAMPLE_RATE_HZ, stage.now_ns))
    while not hangs.is_set():
        stage.now_ns += FRAME_PERIOD_NS
        stage.worker.tick()
        hangs.wait(0.05)
    avatar.stop()
    assert "AvatarWorker is still busy" in stage.troubles[-1]
    assert not avatar.running
    with pytest.raises(ConversationError, match="AvatarWorker still busy"):
        avatar.start(stage.show)
    with pytest.raises(ConversationError):
        avatar.stop_speaking().result(0)
    go_on.set()
    monkeypatch.setattr(live_avatar, "STOP_S", PATIENCE_S)
    avatar.start(stage.show)
    stage.go_on(1.0)
    assert stage.frames
    avatar.stop()
