"""The pacer: frames in their time, whatever the clock and whoever takes them do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.runtime import pacer as pacing
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

MS = 1_000_000
PATIENCE_S = 20.0
BLOCK = 3


def bare_frame(number: int) -> AvatarFrame:
    stamp_ns = number * FRAME_PERIOD_NS
    return AvatarFrame(stamp_ns, None, np.zeros(1, np.float32), number // BLOCK, number)


def voiced(number: int) -> AvatarFrame:
    """A frame with a picture and a voice of full strength."""
    return replace(
        bare_frame(number),
        pixels=np.zeros((1, 1, 3), np.uint8),
        audio=np.ones(SAMPLES_PER_FRAME, np.float32),
        speech_level=1.0,
        speaking=True,
    )


class Screen:
    """Takes frames; while `shut` it holds up whoever brings one."""

    def __init__(self) -> None:
        self.frames: list[AvatarFrame] = []
        self.troubles: list[str] = []
        self.now_ns = 1
        self.open = threading.Event()
        self.open.set()
        self._came = threading.Condition()

    def emit(self, frame: AvatarFrame) -> None:
        with self._came:
            self.frames.append(frame)
            self._came.notify_all()
        assert self.open.wait(PATIENCE_S)

    def until(self, count: int) -> list[AvatarFrame]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.frames) >= count, PATIENCE_S)
        return self.frames

    def pacer(self, *, keep_pace: bool = True) -> Pacer:
        return Pacer(lambda: self.now_ns, self.emit, self.troubles.append, keep_pace=keep_pace)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.open.set()


@pytest.fixture
def running(screen: Screen) -> Iterator[Callable[..., Pacer]]:
    made: list[Pacer] = []

    def make(**options: bool) -> Pacer:
        made.append(screen.pacer(**options))
        made[-1].start()
        return made[-1]

    yield make
    screen.open.set()
    for each in made:
        assert each.stop(PATIENCE_S)


def test_frames_are_emitted_in_their_time() -> None:
    """On a clock that goes on by 5 ms whenever the pacer looks at it."""
    now = [245 * MS]
    out: list[int] = []
    done = threading.Event()

    def look() -> int:
        now[0] += 5 * MS
        return now[0]

    def emit(frame: AvatarFrame) -> None:
        assert frame.frame_in_block == len(out)
        out.append(now[0] - frame.stamp_ns)
        if len(out) == 5:
            done.set()

    pacer = Pacer(look, emit, lambda text: None)
    pacer.put([replace(bare_frame(k), block_index=0) for k in range(5)], 250 * MS)
    pacer.start()
    assert done.wait(PATIENCE_S)
    assert pacer.stop()
    assert all(0 <= late - pacer.lag.lag_ns < 10 * MS for late in out)


def test_a_frame_that_cannot_be_sent_does_not_end_the_rest() -> None:
    out, troubles, done = [], [], threading.Event()

    def emit(frame: AvatarFrame) -> None:
        if frame.frame_in_block == 0:
            raise ValueError("no route")
        out.append(frame)
        done.set()

    pacer = Pacer(lambda: 10**12, emit, troubles.append)
    pacer.start()
    pacer.put([bare_frame(k) for k in (0, 1)], 1)
    assert done.wait(PATIENCE_S)
    assert pacer.stop()
    assert "no route" in troubles[0]


def test_a_clock_that_goes_back_holds_nothing_up(
    screen: Screen, running: Callable[..., Pacer]
) -> None:
    """Else the frames that wait would wait until the clock is there again."""
    screen.now_ns = 10**12
    pacer = running()
    first = replace(bare_frame(0), stamp_ns=10**12)
    pacer.put([first], 10**12 + 300 * MS)
    pacer.put([replace(bare_frame(1), stamp_ns=10**12 + 40 * MS)], 10**12 + 300 * MS)
    screen.now_ns = 10**12 + pacer.lag.lag_ns
    screen.until(1)
    screen.now_ns = 10**11
    screen.until(2)
    pacer.put([replace(bare_frame(2), stamp_ns=10**11)], 10**11 + 50 * MS)
    screen.now_ns += 60 * MS
    screen.until(3)
    assert pacer.lag.lag_ns < 100 * MS


@pytest.mark.parametrize("jump_ns", [-(10**11), 10**14])
def test_what_was_made_while_the_clock_jumped_holds_nothing_up(
    screen: Screen, running: Callable[..., Pacer], jump_ns: int
) -> None:
    """Its lag is the jump's, or its time is never: a new conversation does not wait for it."""
    screen.now_ns = begin_ns = 10**12
    pacer = running()
    pacer.put([replace(bare_frame(3 * k), stamp_ns=begin_ns) for k in range(2)], begin_ns)
    screen.now_ns += 50 * MS
    screen.until(2)
    screen.now_ns = begin_ns = screen.now_ns + jump_ns
    old = replace(bare_frame(6), stamp_ns=10**12 + 200 * MS)
    pacer.put([old], begin_ns)
    pacer.put([replace(bare_frame(0), stamp_ns=begin_ns)], begin_ns + 50 * MS)
    assert pacer.lag.lag_ns < 100 * MS
    screen.now_ns += 100 * MS
    assert [frame.stamp_ns for frame in screen.until(4)[2:]] == [old.stamp_ns, begin_ns]


def test_what_nobody_takes_is_bounded_and_counted(
    screen: Screen, running: Callable[..., Pacer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "MOST_PICTURES", 10)
    monkeypatch.setattr(pacing, "MOST_FRAMES", 30)
    screen.open.clear()
    pacer = running()
    pacer.put([voiced(0)], 1)
    screen.until(1)  # and there it stays
    screen.now_ns = 10**12
    for number in range(1, 101):
        pacer.put([voiced(number)], screen.now_ns)
        screen.now_ns += FRAME_PERIOD_NS
    screen.open.set()
    frames = screen.until(31)[1:]
    # lag is that of the first frames, so the newest is not due before it is ready
    waited = [frame.stamp_ns // FRAME_PERIOD_NS for frame in frames]
    assert waited == list(range(waited[0], 101))
    dropped = waited[0] - 1
    assert pacer.unsent_samples == dropped * SAMPLES_PER_FRAME
    assert any("samples were left out" in text for text in screen.troubles)
    drawn = [frame.pixels is not None for frame in frames]
    assert drawn == sorted(drawn)  # the newest have theirs
    assert 10 <= sum(drawn) <= 12
    assert pacer.unsent_frames == 100 - sum(drawn)


def test_frames_that_are_not_due_yet_do_not_count_as_left(screen: Screen) -> None:
    """However large the lag has become."""
    pacer = screen.pacer()
    pacer.put([voiced(0)], 20_000 * MS)
    for number in range(1, 400):
        pacer.put([voiced(number)], number * FRAME_PERIOD_NS + 120 * MS)
    assert pacer.unsent_frames == pacer.unsent_samples == 0


def test_a_replay_loses_nothing(screen: Screen, running: Callable[..., Pacer]) -> None:
    screen.open.clear()
    pacer = running(keep_pace=False)
    screen.now_ns = 10**12
    for number in range(400):
        pacer.put([voiced(number)], screen.now_ns)
    screen.open.set()
    assert all(frame.pixels is not None for frame in screen.until(400))


def test_hushed_frames_have_no_voice_however_many_wait(
    screen: Screen, running: Callable[..., Pacer]
) -> None:
    """With a lag of a second there are many."""
    pacer = screen.pacer()
    pacer.put([voiced(0)], 1000 * MS)
    pacer.put([voiced(number) for number in range(1, 25)], 1000 * MS)
    assert pacer.hush() == 25 * SAMPLES_PER_FRAME
    pacer.put([voiced(25)], 1000 * MS)  # of a block that was being made
    pacer.unhush()
    pacer.put([voiced(26)], 1000 * MS)
    screen.now_ns = 10**12
    pacer.start()
    frames = screen.until(27)
    assert pacer.stop(PATIENCE_S)
    assert np.abs(np.diff(frames[0].audio)).max() < 0.01  # it fades: a step would click
    assert frames[0].audio[-1] == 0.0
    assert not any(frame.audio.any() or frame.speaking for frame in frames[1:26])
    assert frames[26].audio.all()
    assert all(frame.pixels is not None for frame in frames)
