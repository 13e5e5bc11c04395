"""An avatar in a process of its own: it does what one here does, and outlives its process."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import fake_session, grey_portrait
from numpy.typing import NDArray

from avatar_forcing_ros.errors import ConfigError, ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime import avatar_process
from avatar_forcing_ros.runtime.avatar_process import MAX_QUEUED, AvatarProcess, Sender
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

PATIENCE_S = 60.0
SIZE_PX = 32


def portrait(grey: int, size_px: int = SIZE_PX) -> Portrait:
    return grey_portrait(grey, size_px)


def tiny_session() -> Session:
    return fake_session(SIZE_PX, grey=100)


def no_session() -> Session:
    raise ConfigError("weights", expected="some", got="none", remedy="train them")


def crash() -> Session:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Bench:
    """An avatar, the frames that came of it and what went wrong."""

    def __init__(self) -> None:
        self.warnings: queue.Queue[str] = queue.Queue()
        on_warning = lambda where, sentence: self.warnings.put(sentence)  # noqa: E731
        self.frames: queue.Queue[AvatarFrame] = queue.Queue()
        self.avatar = AvatarProcess(tiny_session, on_warning)

    def push_speech(self, seconds: float) -> None:
        chunk = AudioChunk(noise(seconds), SAMPLE_RATE_HZ, self.avatar.now_ns())
        self.avatar.push_avatar_audio(chunk)

    def frame(self, fits: Callable[[AvatarFrame], bool] = lambda frame: True) -> AvatarFrame:
        """The next frame that fits."""
        while True:
            frame = self.frames.get(timeout=PATIENCE_S)
            if fits(frame):
                return frame


@pytest.fixture(scope="module")
def shared() -> Iterator[Bench]:
    here = Bench()
    yield here
    here.avatar.close()
    assert here.warnings.empty()


@pytest.fixture
def bench(shared: Bench) -> Iterator[Bench]:
    shared.frames = queue.Queue()
    shared.avatar.start(shared.frames.put)
    yield shared
    shared.avatar.stop()


def loud(frame: AvatarFrame) -> bool:
    return bool(np.abs(frame.audio).max() > 0.1)


def noise(seconds: float) -> NDArray[np.float32]:
    count = round(seconds * SAMPLE_RATE_HZ)
    return np.random.default_rng(0).uniform(-0.5, 0.5, count).astype(np.float32)


def test_it_speaks_and_falls_silent(bench: Bench) -> None:
    bench.push_speech(60.0)
    assert bench.frame(loud).stamp_ns <= bench.avatar.now_ns()
    assert bench.avatar.stop_speaking().result(PATIENCE_S) > 50 * SAMPLE_RATE_HZ
    bench.frame(lambda frame: not loud(frame))
    assert bench.avatar.status.blocks > 0
    assert bench.avatar.status.playout_delay_ms > 0


def test_it_sees_and_hears(bench: Bench) -> None:
    bench.avatar.push_user_audio(AudioChunk(noise(0.02), SAMPLE_RATE_HZ, bench.avatar.now_ns()))
    bench.avatar.push_user_frame(VideoFrame(np.zeros((4, 4, 3), np.uint8), bench.avatar.now_ns()))
    bench.frame(lambda frame: bench.avatar.status.face_visible)


def test_it_changes_its_face(bench: Bench) -> None:
    bench.avatar.set_portrait(portrait(200)).result(PATIENCE_S)
    frame = bench.frame(lambda frame: frame.pixels is not None and frame.pixels[0, 0, 0] == 200)
    assert frame.pixels is not None
    assert bench.avatar.portrait.image[0, 0, 0] == 200
    assert bench.avatar.portrait_size_px == SIZE_PX


def test_it_can_begin_again_but_not_twice_at_once(bench: Bench) -> None:
    with pytest.raises(ConversationError, match="stop it first"):
        bench.avatar.start(bench.frames.put)
    bench.avatar.stop()
    assert not bench.avatar.running
    bench.push_speech(0.1)  # nobody is there: it is not kept for the next conversation
    bench.avatar.start(bench.frames.put)
    bench.frame()
    assert bench.avatar.status.waiting_avatar_audio_samples == 0


def test_what_it_cannot_do_is_told_to_who_asked(bench: Bench) -> None:
    with pytest.raises(ValueError, match="another size"):
        bench.avatar.set_portrait(portrait(50, size_px=8)).result(PATIENCE_S)
    assert bench.avatar.portrait_size_px == SIZE_PX
    bench.frame()


def test_what_the_session_lacks_is_told_here() -> None:
    with pytest.raises(ConfigError, match="train them"):
        AvatarProcess(no_session, print)


def test_a_process_that_does_not_come_up_is_told() -> None:
    with pytest.raises(ConversationError, match="come up"):
        AvatarProcess(crash, print)


def test_a_process_that_ends_is_begun_anew_with_its_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avatar_process, "QUICK_END_S", 0.0)
    bench = Bench()
    bench.avatar.start(bench.frames.put)
    bench.avatar.set_portrait(portrait(200)).result(PATIENCE_S)
    first = bench.avatar.pid
    os.kill(first, signal.SIGKILL)
    assert "another begins" in bench.warnings.get(timeout=PATIENCE_S)
    # frames of before may still come; the new process begins to count anew
    bench.frame(lambda frame: bench.avatar.pid != first and frame.block_index == 0)
    grey = bench.frame(lambda frame: frame.pixels is not None and frame.block_index > 3)
    assert grey.pixels is not None
    assert grey.pixels[0, 0, 0] == 200
    bench.push_speech(1.0)
    bench.frame(loud)
    bench.avatar.close()


def test_a_beginning_that_was_given_up_does_not_stand_in_the_way(
    shared: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(shared.avatar.pid, signal.SIGSTOP)
    with monkeypatch.context() as hasty:
        hasty.setattr(avatar_process, "ANSWER_S", 0.01)
        with pytest.raises(ConversationError, match="in a moment"):
            shared.avatar.start(shared.frames.put)
    assert not shared.avatar.running
    os.kill(shared.avatar.pid, signal.SIGCONT)
    shared.frames = queue.Queue()
    shared.avatar.start(shared.frames.put)
    shared.frame()
    shared.avatar.stop()


def test_what_is_asked_while_another_process_begins_is_done_by_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(avatar_process, "QUICK_END_S", 0.0)
    monkeypatch.setattr(avatar_process, "ANSWER_S", PATIENCE_S)
    threads = threading.active_count()
    bench = Bench()
    bench.avatar.start(bench.frames.put)
    bench.avatar.set_portrait(portrait(200)).result(PATIENCE_S)
    os.kill(bench.avatar.pid, signal.SIGKILL)
    assert "another begins" in bench.warnings.get(timeout=PATIENCE_S)
    changed = bench.avatar.set_portrait(portrait(50))
    bench.avatar.stop()
    assert changed.result(PATIENCE_S) is None
    bench.frames = queue.Queue()
    bench.avatar.start(bench.frames.put)
    grey = bench.frame(lambda frame: frame.pixels is not None)
    assert grey.pixels is not None
    assert grey.pixels[0, 0, 0] == 50
    os.kill(bench.avatar.pid, signal.SIGKILL)
    assert "another begins" in bench.warnings.get(timeout=PATIENCE_S)
    bench.avatar.close()
    assert threading.active_count() == threads
    assert not Path(f"/proc/{bench.avatar.pid}").exists()
    assert bench.warnings.empty()


def test_one_that_ends_at_once_is_not_begun_again_and_again() -> None:
    bench = Bench()
    bench.avatar.start(bench.frames.put)
    os.kill(bench.avatar.pid, signal.SIGKILL)
    assert "not begun again" in bench.warnings.get(timeout=PATIENCE_S)
    assert not bench.avatar.running
    with pytest.raises(ConversationError):
        bench.avatar.stop_speaking().result(PATIENCE_S)
    with pytest.raises(ConversationError):
        bench.avatar.start(bench.frames.put)
    status = bench.avatar.status
    assert (status.ended, status.connected, status.warning) == (
        True,
        False,
        "the avatar has ended",
    )
    bench.avatar.close()


def test_the_newest_picture_waits_alone_and_sound_waits_for_long() -> None:
    here, there = Pipe()
    sender = Sender(here)
    sender.put(("push_user_audio", 0))
    for number in range(3):
        sender.put(("push_user_frame", number))
    for number in range(1, 2 * MAX_QUEUED):
        sender.put(("push_user_audio", number))
    sender.put(("end",))
    sender.start()
    came: list[Any] = []
    while not came or came[-1] != ("end",):
        came.append(there.recv())
    assert [number for kind, *number in came if kind == "push_user_frame"] == [[2]]
    assert came[:3] == [("push_user_audio", 0), ("push_user_frame", 2), ("push_user_audio", 1)]
    assert len(came) == MAX_QUEUED + 1
    put = 1 + 3 + (2 * MAX_QUEUED - 1) + 1
    assert sender.dropped_frames == 2
    assert sender.dropped_chunks == put - len(came) - 2
    assert sender.stop()


def test_the_process_ends_with_what_started_it(tmp_path: Path) -> None:
    bench = Bench()
    pid = bench.avatar.pid
    bench.avatar.close()
    assert not Path(f"/proc/{pid}").exists()
