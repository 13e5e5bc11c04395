"""An avatar in a process of its own: it does what one here does, and outlives its process."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import tiny_engine

from avatar_forcing_ros.errors import ConfigError, ConversationError, MediaError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime import avatar_process
from avatar_forcing_ros.runtime.avatar_process import AvatarProcess
from avatar_forcing_ros.runtime.ipc_messages import MOST_WAITING, Sender
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

PATIENCE_S = 60.0
SIZE_PX = 32


def portrait(grey: int, size_px: int = SIZE_PX) -> Portrait:
    return Portrait(np.full((size_px, size_px, 3), grey, np.uint8), np.zeros((478, 3), np.float32))


class Grey:
    """A codec whose pictures are as grey as its portrait."""

    image_size_px = SIZE_PX
    fit: dict[str, float] = {}  # noqa: RUF012
    drawable_sizes_px = (SIZE_PX,)
    reference = np.zeros(len(coefficients.NAMES), np.float32)

    def __init__(self) -> None:
        self.portrait = portrait(100)

    def draw_at(self, size_px: int) -> None: ...

    def reset(self) -> None: ...

    def watch(self) -> None: ...

    def close(self) -> None: ...

    def prepare_portrait(self, other: Portrait) -> None:
        if other.size_px != SIZE_PX:
            raise ValueError("another size")
        self.portrait = other

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        return UserMotion(self.reference, True)

    def coefficients(self, motion: NDArray[np.float32]) -> NDArray[np.float32]:
        return coefficients.clip(motion)

    def decode(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.repeat(self.portrait.image[None], len(motion), axis=0)


def tiny_session() -> Session:
    return Session(tiny_engine(), Grey())  # type: ignore[arg-type]


def no_session() -> Session:
    raise ConfigError("weights", expected="some", got="none", remedy="train them")


def crash() -> Session:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class House:
    """An avatar, the frames that came of it and what went wrong."""

    def __init__(self) -> None:
        self.troubles: queue.Queue[str] = queue.Queue()
        self.frames: queue.Queue[AvatarFrame] = queue.Queue()
        self.avatar = AvatarProcess(tiny_session, self.troubles.put)

    def frame(self, fits: Callable[[AvatarFrame], bool] = lambda frame: True) -> AvatarFrame:
        """The next frame that fits."""
        while True:
            frame = self.frames.get(timeout=PATIENCE_S)
            if fits(frame):
                return frame


@pytest.fixture(scope="module")
def shared() -> Iterator[House]:
    here = House()
    yield here
    here.avatar.close()
    assert here.troubles.empty()


@pytest.fixture
def house(shared: House) -> Iterator[House]:
    shared.frames = queue.Queue()
    shared.avatar.start(shared.frames.put)
    yield shared
    shared.avatar.stop()


def loud(frame: AvatarFrame) -> bool:
    return bool(np.abs(frame.audio).max() > 0.1)


def noise(seconds: float) -> NDArray[np.float32]:
    count = round(seconds * SAMPLE_RATE_HZ)
    return np.random.default_rng(0).uniform(-0.5, 0.5, count).astype(np.float32)


def test_it_speaks_and_falls_silent(house: House) -> None:
    assert house.avatar.say(noise(60.0)) == pytest.approx(60.0)
    assert house.frame(loud).stamp_ns <= house.avatar.now_ns()
    assert house.avatar.stop_speaking().result(PATIENCE_S) > 50 * SAMPLE_RATE_HZ
    house.frame(lambda frame: not loud(frame))
    assert house.avatar.status.blocks > 0
    assert house.avatar.lag_ms > 0


def test_it_sees_and_hears(house: House) -> None:
    house.avatar.push_user_audio(AudioChunk(noise(0.02), SAMPLE_RATE_HZ, house.avatar.now_ns()))
    house.avatar.push_user_frame(VideoFrame(np.zeros((4, 4, 3), np.uint8), house.avatar.now_ns()))
    house.frame(lambda frame: house.avatar.status.face_visible)


def test_it_changes_its_face(house: House) -> None:
    house.avatar.set_portrait(portrait(200)).result(PATIENCE_S)
    frame = house.frame(lambda frame: frame.pixels is not None and frame.pixels[0, 0, 0] == 200)
    assert frame.pixels is not None
    assert house.avatar.portrait.image[0, 0, 0] == 200
    assert house.avatar.portrait_size_px == SIZE_PX


def test_it_can_begin_again_but_not_twice_at_once(house: House) -> None:
    with pytest.raises(ConversationError, match="stop it first"):
        house.avatar.start(house.frames.put)
    house.avatar.stop()
    assert not house.avatar.running
    with pytest.raises(MediaError, match="conversation that goes on"):
        house.avatar.say(noise(0.1))
    house.avatar.start(house.frames.put)
    house.frame()


def test_too_much_voice_is_refused(house: House) -> None:
    with pytest.raises(MediaError, match="let the avatar finish"):
        house.avatar.say(noise(121.0))


def test_what_it_cannot_do_is_told_to_who_asked(house: House) -> None:
    with pytest.raises(ValueError, match="another size"):
        house.avatar.set_portrait(portrait(50, size_px=8)).result(PATIENCE_S)
    assert house.avatar.portrait_size_px == SIZE_PX
    house.frame()


def test_what_the_session_lacks_is_told_here() -> None:
    with pytest.raises(ConfigError, match="train them"):
        AvatarProcess(no_session, print)


def test_a_process_that_does_not_come_up_is_told() -> None:
    with pytest.raises(ConversationError, match="come up"):
        AvatarProcess(crash, print)


def test_a_process_that_ends_is_begun_anew_with_its_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avatar_process, "QUICK_END_S", 0.0)
    house = House()
    house.avatar.start(house.frames.put)
    house.avatar.set_portrait(portrait(200)).result(PATIENCE_S)
    first = house.avatar.pid
    os.kill(first, signal.SIGKILL)
    assert "another begins" in house.troubles.get(timeout=PATIENCE_S)
    # frames of before may still come; the new process begins to count anew
    house.frame(lambda frame: house.avatar.pid != first and frame.block_index == 0)
    grey = house.frame(lambda frame: frame.pixels is not None and frame.block_index > 3)
    assert grey.pixels is not None
    assert grey.pixels[0, 0, 0] == 200
    house.avatar.say(noise(1.0))
    house.frame(loud)
    house.avatar.close()


def test_a_beginning_that_was_given_up_does_not_stand_in_the_way(
    shared: House, monkeypatch: pytest.MonkeyPatch
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
    house = House()
    house.avatar.start(house.frames.put)
    house.avatar.set_portrait(portrait(200)).result(PATIENCE_S)
    os.kill(house.avatar.pid, signal.SIGKILL)
    assert "another begins" in house.troubles.get(timeout=PATIENCE_S)
    changed = house.avatar.set_portrait(portrait(50))
    house.avatar.stop()
    assert changed.result(PATIENCE_S) is None
    house.frames = queue.Queue()
    house.avatar.start(house.frames.put)
    grey = house.frame(lambda frame: frame.pixels is not None)
    assert grey.pixels is not None
    assert grey.pixels[0, 0, 0] == 50
    os.kill(house.avatar.pid, signal.SIGKILL)
    assert "another begins" in house.troubles.get(timeout=PATIENCE_S)
    house.avatar.close()
    assert not house.avatar._reader.is_alive()
    assert not Path(f"/proc/{house.avatar.pid}").exists()
    assert house.troubles.empty()


def test_one_that_ends_at_once_is_not_begun_again_and_again() -> None:
    house = House()
    house.avatar.start(house.frames.put)
    os.kill(house.avatar.pid, signal.SIGKILL)
    assert "not begun again" in house.troubles.get(timeout=PATIENCE_S)
    assert not house.avatar.running
    with pytest.raises(ConversationError):
        house.avatar.stop_speaking().result(PATIENCE_S)
    with pytest.raises(ConversationError):
        house.avatar.start(house.frames.put)
    house.avatar.close()


def test_the_newest_picture_waits_alone_and_sound_waits_for_long() -> None:
    here, there = Pipe()
    sender = Sender(here)
    sender.put(("hear", 0))
    for number in range(3):
        sender.put(("see", number))
    for number in range(1, 2 * MOST_WAITING):
        sender.put(("hear", number))
    sender.put(("end",))
    sender.start()
    came: list[Any] = []
    while not came or came[-1] != ("end",):
        came.append(there.recv())
    assert [letter for letter in came if letter[0] == "see"] == [("see", 2)]
    assert came[:3] == [("hear", 0), ("see", 2), ("hear", 1)]
    assert len(came) == MOST_WAITING + 1
    put = 1 + 3 + (2 * MOST_WAITING - 1) + 1
    assert sender.dropped_pictures == 2
    assert sender.dropped_sounds == put - len(came) - 2
    assert sender.stop()


def test_the_process_ends_with_what_started_it(tmp_path: Path) -> None:
    house = House()
    pid = house.avatar.pid
    house.avatar.close()
    assert not Path(f"/proc/{pid}").exists()
