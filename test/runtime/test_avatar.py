"""A live avatar: begins, ends and begins again, and falls silent at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes import fake_session
from numpy.typing import NDArray

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame
from avatar_forcing_ros.runtime import avatar as live_avatar
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.runtime.worker import AvatarWorker
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ

PATIENCE_S = 20.0


@pytest.fixture
def avatar() -> Avatar:
    return Avatar(fake_session(), print)


def push_speech(avatar: Avatar, samples: NDArray[np.float32]) -> None:
    avatar.push_avatar_audio(AudioChunk(samples, SAMPLE_RATE_HZ, avatar.now_ns()))


def spoken(avatar: Avatar, seconds: float) -> AvatarFrame:
    """Have a noise said, and wait for the first frame in which it is heard."""
    came = threading.Event()
    loud: list[AvatarFrame] = []

    def show(frame: AvatarFrame) -> None:
        if np.abs(frame.audio).max() > 0.1:
            loud.append(frame)
            came.set()

    avatar.start(show)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE_HZ))
    push_speech(avatar, noise.astype(np.float32))
    assert came.wait(PATIENCE_S)
    return loud[0]


def test_it_can_begin_again_and_stops_what_it_says(avatar: Avatar) -> None:
    avatar.warm_up()
    for _ in range(2):
        assert spoken(avatar, 60.0).stamp_ns <= avatar.now_ns()
        assert avatar.running
        assert avatar.stop_speaking().result(PATIENCE_S) > 50 * SAMPLE_RATE_HZ
        avatar.stop()
        assert not avatar.running
        assert avatar.status.blocks == 0


def test_what_is_pushed_while_it_rests_is_ignored(avatar: Avatar) -> None:
    push_speech(avatar, np.ones(1_000, np.float32))
    avatar.start(lambda frame: None)
    assert avatar.status.waiting_avatar_audio_samples == 0
    avatar.stop()


def test_commands_are_done_at_once_while_it_rests(avatar: Avatar) -> None:
    assert avatar.stop_speaking().result(0) == 0
    avatar.stop()


class Bench:
    """A live avatar on a clock that the test moves, and the frames that were shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 10**12
        self.frames: list[AvatarFrame] = []
        self.warnings: list[str] = []
        self.session = fake_session()
        self.avatar = Avatar(
            self.session,
            lambda where, sentence: self.warnings.append(sentence),
            now_ns=lambda: self.now_ns,
        )
        self.shown_ns: list[int] = []
        self.worker: AvatarWorker
        self.pacer: Pacer
        for name, kind in (("worker", AvatarWorker), ("pacer", Pacer)):
            monkeypatch.setattr(live_avatar, kind.__name__, self._keeping(name, kind))

    def _keeping(self, name: str, kind: type) -> Callable[..., object]:
        """Makes a `kind`, and keeps it here under `name`."""

        def make(*arguments: object, **options: object) -> object:
            setattr(self, name, kind(*arguments, **options))
            return getattr(self, name)

        return make

    def start(self) -> None:
        self.avatar.start(self.show, LiveConfig(gather_ms=0.0))

    def show(self, frame: AvatarFrame) -> None:
        self.frames.append(frame)
        self.shown_ns.append(self.now_ns)

    def go_on(self, seconds: float) -> None:
        """Let time pass; the avatar has done by then what it does in it."""
        for _ in range(round(seconds * 25)):
            self.now_ns += FRAME_PERIOD_NS
            self.worker.tick()
            for _ in range(2):
                self.worker.call(lambda session: None).result(PATIENCE_S)
            while any(due_ns <= self.now_ns for due_ns, _ in self.pacer.waiting):
                time.sleep(0)  # until its thread has had its turn

    def waiting(self) -> list[AvatarFrame]:
        return [frame for _, frame in self.pacer.waiting]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(monkeypatch)
    made.start()
    yield made
    made.avatar.stop()


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    size = round(seconds * SAMPLE_RATE_HZ)
    return np.random.default_rng(seed).uniform(0.1, 0.5, size).astype(np.float32)


def test_speech_that_comes_at_once_is_said_at_its_pace(bench: Bench) -> None:
    parts = [noise(0.7, seed) for seed in range(4)]
    bench.go_on(0.2)
    for part in parts:
        push_speech(bench.avatar, part)
    bench.go_on(4.0)
    heard = np.concatenate([frame.audio for frame in bench.frames])
    begin = int(np.flatnonzero(heard)[0])
    said = np.concatenate(parts)
    assert np.array_equal(heard[begin : begin + len(said)], said)
    assert not heard[begin + len(said) :].any()
    stamps = np.array([frame.stamp_ns for frame in bench.frames])
    assert set(np.diff(stamps)) == {FRAME_PERIOD_NS}
    assert np.all(np.array(bench.shown_ns) >= stamps)
    loud = [at_ns for frame, at_ns in zip(bench.frames, bench.shown_ns, strict=True)
            if frame.audio.any()]  # fmt: skip
    assert abs((loud[-1] - loud[0]) / 1e9 - 2.8) <= 0.2


@pytest.mark.parametrize("lag_ms", [0, 1500])
def test_when_told_to_stop_it_is_silent_at_once_whatever_waits(bench: Bench, lag_ms: int) -> None:
    """Frames that wait for their turn had the voice already; so had those being made."""
    bench.go_on(0.2)
    push_speech(bench.avatar, noise(60.0))
    bench.go_on(1.0)
    bench.pacer.playout_delay.delay_ns += lag_ms * 1_000_000
    bench.go_on(1.0)
    waiting = bench.waiting()
    if lag_ms:
        assert sum(bool(frame.audio.any()) for frame in waiting) > 10
    blocks, shown = bench.worker.status.blocks, len(bench.frames)
    assert bench.avatar.stop_speaking().result(PATIENCE_S) > 55 * SAMPLE_RATE_HZ
    assert not bench.waiting()[:1] or bench.waiting()[0].audio[-1] == 0.0  # it fades
    bench.go_on(3.0)
    assert bench.worker.status.blocks > blocks + 5
    after = bench.frames[shown + 1 :]
    assert len(after) > 30
    assert not any(frame.audio.any() for frame in after)
    assert not any(frame.speaking for frame in after[-20:])
    assert all(frame.pixels is not None for frame in after)
    again = noise(0.5, 9)
    push_speech(bench.avatar, again)
    bench.go_on(4.0)
    heard = np.concatenate([frame.audio for frame in bench.frames[shown + 1 :]])
    begin = int(np.flatnonzero(heard)[0])
    assert np.array_equal(heard[begin : begin + len(again)], again)


def test_a_block_that_was_being_made_is_silent_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.go_on(0.2)
    push_speech(bench.avatar, noise(60.0))
    bench.go_on(1.0)
    drawing, go_on = threading.Event(), threading.Event()
    decode = bench.session.codec.decode

    def slowly(motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        drawing.set()
        assert go_on.wait(PATIENCE_S)
        return decode(motion)

    monkeypatch.setattr(bench.session.codec, "decode", slowly)
    while not drawing.is_set():
        bench.now_ns += FRAME_PERIOD_NS
        bench.worker.tick()
        drawing.wait(0.05)
    stopped = bench.avatar.stop_speaking()
    shown = len(bench.frames)
    go_on.set()
    stopped.result(PATIENCE_S)
    bench.go_on(2.0)
    after = bench.frames[shown + 1 :]
    assert len(after) > 20
    assert not any(frame.audio.any() for frame in after)


def test_what_does_not_end_is_told_and_a_later_start_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)
    avatar, hangs, go_on = bench.avatar, threading.Event(), threading.Event()
    step = bench.session.engine.step

    def hanging(*arguments: object) -> object:
        hangs.set()
        assert go_on.wait(PATIENCE_S)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.session.engine, "step", hanging)
    monkeypatch.setattr(live_avatar, "STOP_S", 0.01)
    bench.start()
    with pytest.raises(ConversationError, match="stop it first"):
        bench.start()
    avatar.push_user_audio(AudioChunk(np.zeros(16_000, np.float32), SAMPLE_RATE_HZ, bench.now_ns))
    while not hangs.is_set():
        bench.now_ns += FRAME_PERIOD_NS
        bench.worker.tick()
        hangs.wait(0.05)
    avatar.stop()
    assert "AvatarWorker is still busy" in bench.warnings[-1]
    assert not avatar.running
    with pytest.raises(ConversationError, match="AvatarWorker still busy"):
        bench.start()
    with pytest.raises(ConversationError):
        avatar.stop_speaking().result(0)
    go_on.set()
    monkeypatch.setattr(live_avatar, "STOP_S", PATIENCE_S)
    bench.start()
    bench.go_on(1.0)
    assert bench.frames
    avatar.stop()


def test_each_live_conversation_has_a_seed_of_its_own(avatar: Avatar) -> None:
    seeds = []
    for config in (LiveConfig(), LiveConfig()):
        avatar.start(lambda frame: None, config)
        seeds.append(avatar.status.seed)
        avatar.reset().result(PATIENCE_S)
        seeds.append(avatar.status.seed)
        avatar.stop()
    assert len(set(seeds)) == 4
    for config in (LiveConfig(fresh_seed=False), LiveConfig(keep_pace=False)):
        avatar.start(lambda frame: None, config)
        assert avatar.status.seed == 0
        avatar.stop()
