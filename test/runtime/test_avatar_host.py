"""Several avatars in one process of their own: each is its own, and they outlive the process."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Callable, Iterator
from types import TracebackType

import pytest
from fakes import FakeCodec, grey_portrait
from tiny import tiny_engine

from avatar_forcing_ros.errors import ConfigError, ConversationError
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.runtime import avatar_process
from avatar_forcing_ros.runtime.avatar_host import AvatarHost
from avatar_forcing_ros.runtime.avatar_process import AvatarProcess
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.step_scheduler import SchedulerStatus, StepScheduler

PATIENCE_S = 60.0
SIZE_PX = 16


class FakeWeights:
    """In place of `SharedWeights`, with a tiny engine; the third session there is none."""

    def __init__(self) -> None:
        self._scheduler = StepScheduler(tiny_engine())
        self._scheduler.start()
        self._left = 2

    def new_session(self) -> Session:
        self._left -= 1
        if self._left < 0:
            raise ConfigError("session", expected="two", got="a third", remedy="be content")
        return Session(self._scheduler.conversation(), FakeCodec(SIZE_PX, 100))  # type: ignore[arg-type]

    @property
    def status(self) -> SchedulerStatus:
        return self._scheduler.status

    def __enter__(self) -> FakeWeights:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scheduler.stop()


def no_weights() -> FakeWeights:
    raise ConfigError("weights", expected="some", got="none", remedy="train them")


class Seen:
    """An avatar of a host, and the frames that come of it."""

    def __init__(self, host: AvatarHost) -> None:
        self.warnings: queue.Queue[str] = queue.Queue()
        self.frames: queue.Queue[AvatarFrame] = queue.Queue()
        self.avatar: AvatarProcess = host.new_avatar(lambda where, text: self.warnings.put(text))
        self.avatar.start(self.frames.put)

    def frame(self, fits: Callable[[AvatarFrame], bool] = lambda frame: True) -> AvatarFrame:
        while True:
            frame = self.frames.get(timeout=PATIENCE_S)
            if fits(frame):
                return frame

    def shade(self, grey: int) -> AvatarFrame:
        return self.frame(lambda f: f.pixels is not None and int(f.pixels[0, 0, 0]) == grey)


@pytest.fixture
def host() -> Iterator[AvatarHost]:
    host = AvatarHost(FakeWeights)  # type: ignore[arg-type]
    yield host
    host.close()


def test_each_is_its_own_and_one_that_is_closed_is_no_others_end(host: AvatarHost) -> None:
    one, other = Seen(host), Seen(host)
    assert one.avatar.pid == other.avatar.pid == host.pid
    one.avatar.set_portrait(grey_portrait(200, SIZE_PX)).result(PATIENCE_S)
    one.shade(200)
    first = other.shade(100)
    assert one.avatar.status.seed != other.avatar.status.seed
    with pytest.raises(ConfigError, match="be content"):
        host.new_avatar(lambda where, text: None)
    one.frame(lambda frame: frame.block_index > first.block_index + 2)
    moved = one.avatar.snapshot().result(PATIENCE_S)
    other.avatar.stop()
    other.frames = queue.Queue()
    other.avatar.start(other.frames.put, None, moved)
    assert other.frame().block_index > first.block_index + 2
    one.avatar.close()
    with pytest.raises(ConversationError):
        one.avatar.stop_speaking().result(PATIENCE_S)
    other.frame(lambda frame: frame.block_index > first.block_index + 5)
    assert host.status().blocks > 2 * (first.block_index + 2)
    assert other.warnings.empty()
    other.avatar.close()


def test_all_go_on_in_another_process_with_their_faces(
    host: AvatarHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avatar_process, "QUICK_END_S", 0.0)
    both = [Seen(host), Seen(host)]
    both[0].avatar.set_portrait(grey_portrait(200, SIZE_PX)).result(PATIENCE_S)
    before = host.pid
    os.kill(before, signal.SIGKILL)
    for seen, grey in zip(both, (200, 100), strict=True):
        assert "another begins" in seen.warnings.get(timeout=PATIENCE_S)
        seen.frame(lambda frame, seen=seen: seen.avatar.pid != before and not frame.block_index)  # type: ignore[misc]
        seen.frame(lambda frame: frame.block_index > 3)
        seen.shade(grey)
    assert both[0].avatar.pid == both[1].avatar.pid == host.pid != before
    for seen in both:
        seen.avatar.close()


def test_what_the_weights_lack_is_told_and_a_closed_host_makes_nothing() -> None:
    with pytest.raises(ConfigError, match="train them"):
        AvatarHost(no_weights)  # type: ignore[arg-type]
    host = AvatarHost(FakeWeights)  # type: ignore[arg-type]
    host.close()
    with pytest.raises(ConversationError, match="its status"):
        host.status()
    with pytest.raises(ConversationError, match="make another host"):
        host.new_avatar(lambda where, text: None)
