"""The perception thread: the newest image wins, what is left out is counted, nothing ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from test_worker import BLOCK, PATIENCE_S, START, Bench

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.runtime.load import load_portrait
from avatar_forcing_ros.runtime.perception_thread import PerceptionThread
from avatar_forcing_ros.streaming.codec import RigCodec
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS


def picture(number: int, start_ns: int = START) -> VideoFrame:
    pixels = np.full((1, 1, 3), number, np.uint8)
    return VideoFrame(pixels, start_ns + number * FRAME_PERIOD_NS)


class Eye:
    """Looks at pictures, one for each turn that it is given; notes what happens."""

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.told_one = threading.Semaphore(0)
        self.seen: list[int] = []
        self.told: list[int] = []
        self.mended = 0
        self.warnings: list[str] = []
        self.errors: dict[int, Exception] = {}
        self.thread = PerceptionThread(self.look, self.mend, self.tell, self.warnings.append)
        self.thread.start()

    def look(self, frame: VideoFrame) -> UserMotion:
        number = int(frame.pixels[0, 0, 0])
        self.seen.append(number)
        self.begun.release()
        assert self.turns.acquire(timeout=PATIENCE_S)
        if number in self.errors:
            raise self.errors[number]
        return UserMotion(np.zeros(1, np.float32), True)

    def mend(self) -> None:
        self.mended += 1

    def tell(self, motion: UserMotion, stamp_ns: int, prompt: bool) -> None:
        self.told.append((stamp_ns - START) // FRAME_PERIOD_NS)
        self.told_one.release()

    def until_begun(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE_S)

    def until_told(self) -> None:
        assert self.told_one.acquire(timeout=PATIENCE_S)

    def watch(self, number: int) -> None:
        """Have one picture looked at from beginning to end."""
        self.turns.release()
        self.thread.put(picture(number))
        self.until_begun()


@pytest.fixture
def eye() -> Iterator[Eye]:
    made = Eye()
    yield made
    made.turns.release(100)
    assert made.thread.stop(PATIENCE_S)


def test_the_newest_picture_wins_and_the_others_are_counted(eye: Eye) -> None:
    eye.thread.put(picture(0))
    eye.until_begun()
    for number in (1, 2, 4, 3):  # the last of them is older than the one that waits
        eye.thread.put(picture(number))
    eye.turns.release(2)
    eye.until_told()
    eye.until_told()
    assert eye.seen == eye.told == [0, 4]
    assert eye.thread.dropped_frames == 3


def test_what_is_older_than_what_was_looked_at_is_left_out(eye: Eye) -> None:
    eye.watch(5)
    eye.until_told()
    eye.thread.put(picture(4))
    eye.watch(6)
    eye.until_told()
    assert eye.seen == [5, 6]
    assert eye.thread.dropped_frames == 1


def test_stamps_that_begin_anew_are_followed(eye: Eye) -> None:
    """One stamp of the far future must not blind the avatar until then, either."""
    eye.watch(200)
    eye.until_told()
    eye.watch(1)
    eye.until_told()
    assert eye.told == [200, 1]
    assert eye.thread.dropped_frames == 0


def test_a_camera_faster_than_needed_costs_no_more(eye: Eye) -> None:
    eye.turns.release(100)
    for k in range(12):  # 60 Hz
        before = len(eye.seen)
        stamp_ns = START + round(k * 1e9 / 60)
        eye.thread.put(VideoFrame(np.full((1, 1, 3), k, np.uint8), stamp_ns))
        if k % 2 == 0:
            eye.until_told()
        assert len(eye.seen) == before + (k % 2 == 0)
    assert eye.thread.dropped_frames == 6


def test_a_picture_that_cannot_be_looked_at_is_counted_and_told_once(eye: Eye) -> None:
    eye.errors = {1: RuntimeError("graph"), 2: RuntimeError("graph"), 3: MediaError(
        "video frame", expected="pixels", got="none", remedy="send some"
    )}  # fmt: skip
    for number in range(5):
        eye.watch(number)
    eye.until_told()
    eye.until_told()
    assert eye.told == [0, 4]
    assert eye.thread.failed_frames == 3
    assert eye.mended == 2  # a bad picture is not the tracker's fault
    assert len(eye.warnings) == 1
    assert "graph" in eye.warnings[0]


def test_nothing_is_looked_at_while_it_rests_and_what_waited_is_forgotten(eye: Eye) -> None:
    eye.thread.put(picture(0))
    eye.until_begun()
    eye.thread.put(picture(1))
    eye.turns.release()
    with eye.thread.resting():
        assert eye.told == [0]  # it was waited for
        assert eye.seen == [0]
        eye.thread.put(picture(7))
    eye.until_begun()
    assert eye.seen[-1] == 7
    assert 1 not in eye.seen


def test_pictures_that_come_while_it_gives_way_are_looked_at_afterwards(eye: Eye) -> None:
    """Somebody in a hurry must not cost the person's motion; only a queue would."""
    with eye.thread.giving_way():
        for number in range(5):
            eye.thread.put(picture(number))
        assert not eye.seen
    eye.until_begun()
    for number in (5, 6, 7):  # of these the newest wins again
        eye.thread.put(picture(number))
    eye.turns.release(10)
    for _ in range(4):
        eye.until_told()
    assert eye.seen == [2, 3, 4, 7]
    assert eye.thread.dropped_frames == 4


def test_where_blocks_are_late_one_picture_is_looked_at_for_each(eye: Eye) -> None:
    """The person is seen, and the blocks have the machine for themselves otherwise."""
    eye.turns.release(10)
    with eye.thread.giving_way(late=True):
        for number in (0, 1, 2):
            eye.thread.put(picture(number))
            if number == 0:
                eye.until_told()
        assert eye.told == [0]
    eye.until_told()
    assert eye.told == [0, 2]
    assert eye.thread.dropped_frames == 1


def test_pictures_nearer_than_the_period_are_left_out(eye: Eye) -> None:
    eye.turns.release(10)
    eye.thread.period_ns = 60_000_000
    for number in range(6):
        eye.thread.put(picture(number))
        if number % 2 == 0:
            eye.until_told()
    assert eye.told == [0, 2, 4]
    assert eye.thread.dropped_frames == 3


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(LiveConfig(deadline_ms=80.0, gather_ms=0.0))
    yield made
    assert made.worker.stop(PATIENCE_S)


class Held:
    """Holds up whoever looks at one picture until it is let go."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.go_on, self.begun = threading.Event(), threading.Event()
        self.looked = threading.Semaphore(0)
        encode = bench.session.codec.encode_user

        def encode_user(frame: VideoFrame) -> UserMotion:
            if int(frame.pixels[0, 0, 0]) == number:
                self.begun.set()
                assert self.go_on.wait(PATIENCE_S)
            self.looked.release()
            return encode(frame)

        monkeypatch.setattr(bench.session.codec, "encode_user", encode_user)


def show(bench: Bench, held: Held, first: int, last: int) -> None:
    """Pictures of the frames `first` to `last`, each looked at before the next comes."""
    for number in range(first, last + 1):
        bench.worker.push_user_frame(picture(number))
        assert held.looked.acquire(timeout=PATIENCE_S)
        until_watched(bench, number + 1)


def until_watched(bench: Bench, count: int) -> None:
    """Wait until what so many pictures told has reached the session."""
    end_s = time.monotonic() + PATIENCE_S
    while bench.session.tracked_frames < count and time.monotonic() < end_s:
        bench.settle()
    assert bench.session.tracked_frames == count


def test_a_block_waits_for_the_picture_that_is_being_looked_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(bench, monkeypatch, 2 * BLOCK - 1)
    bench.at(0)
    show(bench, held, 0, 2 * BLOCK - 2)
    bench.at(200).until(1)
    bench.worker.push_user_frame(picture(2 * BLOCK - 1))
    assert held.begun.wait(PATIENCE_S)
    assert bench.at(479).settle() == 1
    held.go_on.set()
    bench.until(2)
    assert bench.session.last_user_motion[-1, 0] == pytest.approx((2 * BLOCK - 1) / 255)
    assert bench.worker.status.filled_user_frames == 0


def test_it_does_not_wait_longer_than_the_deadline(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(bench, monkeypatch, 2 * BLOCK - 1)
    bench.at(0)
    show(bench, held, 0, 2 * BLOCK - 2)
    bench.at(200).until(1)
    bench.worker.push_user_frame(picture(2 * BLOCK - 1))
    assert held.begun.wait(PATIENCE_S)
    bench.at(480).until(2)
    assert bench.worker.status.filled_user_frames == 1
    held.go_on.set()


def test_a_new_conversation_knows_nothing_of_the_last_ones_pictures(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(bench, monkeypatch, 7)
    bench.at(0)
    show(bench, held, 0, 6)
    bench.at(200).until(1)
    bench.worker.push_user_frame(picture(7))
    assert held.begun.wait(PATIENCE_S)
    bench.worker.push_user_frame(picture(8))
    anew = bench.worker.reset()
    held.go_on.set()
    anew.result(PATIENCE_S)
    bench.settle()
    assert not bench.session.user_motion.started
    assert bench.session.tracked_frames == 0
    bench.worker.push_user_frame(picture(9))
    bench.at(400)
    until_watched(bench, 1)


def test_what_happened_to_pictures_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(bench, monkeypatch, 3)
    monkeypatch.setattr(bench.session, "face_visible", False)
    bench.at(0)
    show(bench, held, 0, 2)
    bench.worker.push_user_frame(picture(3))
    assert held.begun.wait(PATIENCE_S)
    for number in (4, 5, 6):
        bench.worker.push_user_frame(picture(number))
    held.go_on.set()
    for _ in (3, 6):
        assert held.looked.acquire(timeout=PATIENCE_S)
    bench.at(200 + 80).until(1)
    bench.at(400 + 80).until(2)
    status = bench.worker.status
    assert status.dropped_user_frames == 2
    assert status.failed_user_frames == 0
    assert status.face_visible


def test_a_tracker_that_fails_ends_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Semaphore(0)

    def failing(frame: VideoFrame) -> UserMotion:
        begun.release()
        raise RuntimeError("no graph")

    monkeypatch.setattr(bench.session.codec, "encode_user", failing)
    bench.at(0)
    bench.sound(0, 4)
    for number in range(3):
        bench.worker.push_user_frame(picture(number))
        assert begun.acquire(timeout=PATIENCE_S)
    bench.at(200).until(1)
    assert bench.worker.status.failed_user_frames >= 2
    assert any("no graph" in text for text in bench.warnings)


def test_a_block_goes_before_the_pictures_that_come_while_it_is_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.at(0)
    bench.sound(0, 4)
    step, decode, order = bench.session.engine.step, bench.session.codec.decode, []
    encode = bench.session.codec.encode_user

    def generating(*arguments: object) -> object:
        bench.worker.push_user_frame(picture(BLOCK))
        order.append("motion")
        return step(*arguments)  # type: ignore[arg-type]

    def drawing(motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        order.append("frame")
        return decode(motion)

    looked = threading.Event()

    def looking(frame: VideoFrame) -> UserMotion:
        order.append("picture")
        looked.set()
        return encode(frame)

    monkeypatch.setattr(bench.session.engine, "step", generating)
    monkeypatch.setattr(bench.session.codec, "decode", drawing)
    monkeypatch.setattr(bench.session.codec, "encode_user", looking)
    bench.at(200).until(1)
    assert looked.wait(PATIENCE_S)
    assert order == ["motion", *["frame"] * BLOCK, "picture"]


def test_who_is_late_does_not_become_blind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where block follows on block, pictures are looked at meanwhile."""
    bench.at(0)
    bench.sound(0, 4)
    step, encode = bench.session.engine.step, bench.session.codec.encode_user
    looked = threading.Event()

    def looking(frame: VideoFrame) -> UserMotion:
        looked.set()
        return encode(frame)

    def generating(*arguments: object) -> object:
        bench.worker.push_user_frame(picture(BLOCK))
        assert looked.wait(PATIENCE_S)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.session.engine, "step", generating)
    monkeypatch.setattr(bench.session.codec, "encode_user", looking)
    bench.at(200 + 81).until(1)


def test_stopping_ends_the_watcher_too() -> None:
    made = Bench(LiveConfig(gather_ms=0.0))
    assert made.worker.stop(PATIENCE_S)
    assert made.worker.ended
    assert not any(thread.name == "avatar-watcher" for thread in threading.enumerate())


def test_a_face_is_lost_found_and_met_afresh_with_the_real_tracker() -> None:
    """In the watcher's thread, while another one has it begin anew."""
    pytest.importorskip("mediapipe")
    face = load_portrait(None, 256)
    codec = RigCodec(face, FaceMeshTracker)
    told = threading.Semaphore(0)
    seen: list[UserMotion] = []

    def tell(motion: UserMotion, stamp_ns: int, prompt: bool) -> None:
        seen.append(motion)
        told.release()

    troubles: list[str] = []
    watcher = PerceptionThread(codec.encode_user, codec.close, tell, troubles.append)
    watcher.start()

    def look(number: int, pixels: NDArray[np.uint8]) -> UserMotion:
        watcher.put(VideoFrame(pixels, START + number * FRAME_PERIOD_NS))
        assert told.acquire(timeout=PATIENCE_S)
        return seen[-1]

    nobody = np.zeros_like(face.image)
    smile = codec.decode(coefficients.vector(smile_left=0.9, smile_right=0.9)[None])[0]
    shown = [face.image] * 4 + [smile] * 3 + [nobody] * 2 + [smile] * 2
    visible = [look(number, pixels).face_visible for number, pixels in enumerate(shown)]
    assert visible == [True] * 7 + [False] * 2 + [True] * 2
    smiling = coefficients.INDEX["smile_left"]
    assert seen[-1].values[smiling] > 0.2
    with watcher.resting():
        codec.reset()
    again = look(20, smile)
    assert again.face_visible
    assert again.values[smiling] < seen[10].values[smiling]  # this one may always look so
    assert watcher.stop(PATIENCE_S)
    codec.close()
    assert not troubles
