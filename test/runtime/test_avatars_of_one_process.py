"""Several avatars in one process: each is what one alone is, and all outlive their process."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import FakeCodec, fake_session, grey_portrait
from tiny import tiny_engine

from avatar_forcing_ros.errors import ConfigError, ConversationError
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.runtime import avatar_process
from avatar_forcing_ros.runtime.avatar_process import (
    AvatarProcess,
    avatars_of_one_process,
    close_all,
)
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.step_scheduler import StepScheduler

PATIENCE_S = 60.0
SIZE_PX = 16


class TinySessions:
    """Sessions on one tiny generator; each call is one more."""

    def __init__(self) -> None:
        self._scheduler: StepScheduler | None = None

    def __call__(self) -> Session:
        if self._scheduler is None:
            self._scheduler = StepScheduler(tiny_engine())
            self._scheduler.start()
        codec = FakeCodec(SIZE_PX, 100)
        return Session(self._scheduler.conversation(), codec)  # type: ignore[arg-type]


class OneThatFails:
    """Makes a first session, and the third; not the second."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self) -> Session:
        self._calls += 1
        if self._calls == 2:
            raise ConfigError("memory", expected="some", got="none", remedy="free it")
        return fake_session(SIZE_PX, 100)


class Bench:
    """Avatars of one process, each one's frames, and what went wrong."""

    def __init__(self, make: Callable[[], Session], count: int) -> None:
        self.warnings: queue.Queue[str] = queue.Queue()
        on_warning = lambda where, sentence: self.warnings.put(sentence)  # noqa: E731
        self.avatars = avatars_of_one_process(make, on_warning, count)
        self.frames: list[queue.Queue[AvatarFrame]] = [queue.Queue() for _ in self.avatars]

    def start(self, *which: int) -> None:
        for i in which:
            self.avatars[i].start(self.frames[i].put)

    def grey(self, i: int, wanted: int) -> AvatarFrame:
        """The next frame of avatar `i` in that shade."""
        while True:
            frame = self.frames[i].get(timeout=PATIENCE_S)
            if frame.pixels is not None and frame.pixels[0, 0, 0] == wanted:
                return frame


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(avatar_process, "QUICK_END_S", 0.0)
    here = Bench(TinySessions(), 3)
    yield here
    pid = here.avatars[0].pid
    close_all(here.avatars)
    assert not Path(f"/proc/{pid}").exists()


def test_each_has_a_face_and_a_seed_of_its_own_and_ends_by_itself(bench: Bench) -> None:
    bench.start(0, 1)
    assert len({avatar.pid for avatar in bench.avatars}) == 1
    bench.avatars[1].set_portrait(grey_portrait(200, SIZE_PX)).result(PATIENCE_S)
    bench.grey(1, 200)
    bench.grey(0, 100)
    assert [avatar.running for avatar in bench.avatars] == [True, True, False]
    assert len({avatar.status.seed for avatar in bench.avatars[:2]}) == 2
    bench.avatars[0].stop()
    bench.frames[1] = queue.Queue()
    bench.avatars[1].stop()
    bench.start(1, 2)
    bench.grey(1, 200)
    bench.grey(2, 100)
    bench.avatars[1].stop()
    bench.avatars[2].stop()
    assert bench.warnings.empty()


def test_those_that_went_on_go_on_in_another_process_and_no_others(bench: Bench) -> None:
    bench.start(0, 1)
    bench.avatars[1].set_portrait(grey_portrait(200, SIZE_PX)).result(PATIENCE_S)
    first = bench.avatars[0].pid
    os.kill(first, signal.SIGKILL)
    assert "another begins" in bench.warnings.get(timeout=PATIENCE_S)

    def again(avatar: AvatarProcess, frame: AvatarFrame) -> bool:
        return avatar.pid != first and frame.block_index == 0

    for i, grey in ((0, 100), (1, 200)):
        while not again(bench.avatars[i], bench.frames[i].get(timeout=PATIENCE_S)):
            pass
        assert bench.grey(i, grey).stamp_ns
    assert not bench.avatars[2].running
    bench.start(2)
    bench.grey(2, 100)
    assert len({avatar.pid for avatar in bench.avatars}) == 1
    assert bench.warnings.empty()  # one for all of them


def test_a_conversation_moves_from_one_avatar_to_another(bench: Bench) -> None:
    bench.start(0)
    while bench.frames[0].get(timeout=PATIENCE_S).block_index < 4:
        pass
    moved = bench.avatars[0].snapshot().result(PATIENCE_S)
    bench.avatars[0].stop()
    bench.avatars[1].start(bench.frames[1].put, None, moved)
    assert bench.frames[1].get(timeout=PATIENCE_S).block_index > 3
    assert bench.warnings.empty()


def test_one_that_cannot_be_made_is_tried_again_and_holds_up_no_other() -> None:
    bench = Bench(OneThatFails(), 2)
    bench.start(0)
    bench.grey(0, 100)
    assert "free it" in bench.warnings.get(timeout=PATIENCE_S)
    bench.start(1)
    bench.grey(1, 100)
    close_all(bench.avatars)


def test_what_is_asked_of_them_after_their_end_is_refused() -> None:
    bench = Bench(TinySessions(), 2)
    bench.start(0, 1)
    close_all(bench.avatars)
    assert not any(avatar.running for avatar in bench.avatars)
    with pytest.raises(ConversationError):
        bench.start(1)
    assert bench.warnings.empty()
