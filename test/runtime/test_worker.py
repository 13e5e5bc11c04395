"""The worker: stamps decide, a deadline ends waiting, slowness and failures are survived."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes import fake_session
from numpy.typing import NDArray
from tiny import TINY, talk

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.worker import MAX_FAILURES, AvatarWorker
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

MS = 1_000_000
BLOCK = 5
START = 1_000_000_000_000  # clock time at which inputs begin
PATIENCE_S = 20.0


class Bench:
    """A worker on a clock that the test moves, and what came out of it."""

    def __init__(self, config: LiveConfig) -> None:
        self.now_ns = self.steady_ns = 0
        self.frames: list[AvatarFrame] = []
        self.warnings: list[str] = []
        self._came = threading.Condition()
        self.session = fake_session()
        self.worker = AvatarWorker(
            self.session,
            config,
            lambda: self.now_ns,
            self._take,
            self.warnings.append,
            lambda: self.steady_ns,
        )
        self.worker.start()

    def _take(self, frames: list[AvatarFrame], ready_ns: int) -> None:
        with self._came:
            self.frames += frames
            self._came.notify_all()

    def until(self, blocks: int) -> list[AvatarFrame]:
        """Wait until so many blocks have come in all."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.frames) >= blocks * BLOCK, PATIENCE_S)
        return self.frames

    def settle(self) -> int:
        """Let the worker come round; how many blocks there are then."""
        for _ in range(2):
            self.worker.call(lambda session: None).result(PATIENCE_S)
        return len(self.frames) // BLOCK

    def at(self, media_ms: float) -> Bench:
        """Let time go on until the clock shows `media_ms` after START."""
        now_ns = START + round(media_ms * MS)
        self.steady_ns += now_ns - self.now_ns
        return self.jump(now_ns)

    def jump(self, now_ns: int) -> Bench:
        """Set the clock; no time passes."""
        self.now_ns = now_ns
        self.worker.tick()
        return self

    def sound(self, first: int, last: int, *, user: bool = True) -> None:
        """Both sounds of the 40 ms frames `first` to `last`, one chunk a frame."""
        heard = talk(last + 1)
        for k in range(first, last + 1):
            piece = slice(640 * k, 640 * (k + 1))
            stamp_ns = START + k * FRAME_PERIOD_NS
            self.worker.push_avatar_audio(AudioChunk(heard.avatar_audio[piece], 16_000, stamp_ns))
            if user:
                self.worker.push_user_audio(AudioChunk(heard.user_audio[piece], 16_000, stamp_ns))  # type: ignore[index]


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**config: float | bool) -> Bench:
        made.append(Bench(LiveConfig(**{"keep_pace": False, "gather_ms": 0.0, **config})))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        assert each.worker.stop(PATIENCE_S)


def test_a_block_is_made_when_its_time_is_over_and_its_inputs_are_there(
    bench: Callable[..., Bench],
) -> None:
    b = bench().at(0)
    b.sound(0, 9)
    assert b.at(199).settle() == 0
    frames = b.at(200).until(1)
    assert [f.stamp_ns for f in frames] == [START + k * FRAME_PERIOD_NS for k in range(5)]
    assert [f.frame_in_block for f in frames] == [0, 1, 2, 3, 4]
    assert b.settle() == 1
    assert b.at(400).until(2)[-1].block_index == 1


def test_missing_input_is_waited_for_until_the_deadline(bench: Callable[..., Bench]) -> None:
    b = bench(deadline_ms=80.0).at(0)
    b.sound(0, 4)
    b.at(200).until(1)
    b.sound(5, 8)  # the last 40 ms are missing
    assert b.at(479).settle() == 1
    b.at(480).until(2)
    assert b.worker.status.filled_audio_samples == 640  # the user's; a voice may end


def test_a_replay_loses_nothing_that_waits_in_a_queue_while_its_clock_runs_on(
    bench: Callable[..., Bench],
) -> None:
    b = bench(deadline_ms=80.0).at(0)
    b.sound(0, 8)
    b.at(200).until(1)
    assert b.at(900).settle() == 1  # the deadline is over, but nothing later has been served
    b.sound(9, 12)
    b.until(2)
    assert b.worker.status.filled_audio_samples == 0


def test_a_replay_waits_for_commands_that_are_served_late(bench: Callable[..., Bench]) -> None:
    """A command counts from its stamp, though sound of later times has overtaken it."""
    smiles = []
    for late in (False, True):
        b = bench(deadline_ms=80.0).at(0)
        command = Expression("happy"), START + 40 * MS
        b.sound(0, 4)  # what comes first begins the conversation
        if not late:
            b.worker.push_expression(*command)
        b.at(200)
        b.settle()
        if late:
            b.worker.push_expression(*command)
        b.sound(5, 12)
        frames = b.at(400).until(2)
        smiles.append([frame.coefficients for frame in frames[:10]])
    assert np.array_equal(*smiles)
    assert smiles[0][2][INDEX["smile_left"]] > 0.0


def test_what_comes_in_time_is_not_filled(bench: Callable[..., Bench]) -> None:
    b = bench(deadline_ms=80.0).at(0)
    b.sound(0, 4)
    b.at(200).until(1)
    b.sound(5, 8)
    b.at(450).settle()
    b.sound(9, 9)
    b.until(2)
    assert b.worker.status.filled_audio_samples == 0


def rolled(bench: Callable[..., Bench], order: list[int], blocks: int) -> NDArray[np.float32]:
    b = bench(deadline_ms=2000.0, gather_ms=100.0).at(1)
    for k in order:
        b.sound(k, k)
    b.settle()
    for k in range(blocks):
        b.at(200 * (k + 1)).until(k + 1)
    return np.stack([frame.latent for frame in b.until(blocks)])


def test_the_order_of_arrival_changes_nothing(bench: Callable[..., Bench]) -> None:
    order = list(range(20))
    mixed = np.random.default_rng(0).permutation(order).tolist()
    assert np.array_equal(rolled(bench, order, 4), rolled(bench, mixed, 4))


def test_media_time_begins_with_the_earliest_of_the_first_inputs(
    bench: Callable[..., Bench],
) -> None:
    b = bench(gather_ms=200.0).at(50)
    b.sound(1, 6)
    b.settle()
    b.at(100)
    b.sound(0, 0)
    assert b.at(240).settle() == 0
    assert b.at(250).until(1)[0].stamp_ns == START


def test_without_any_input_the_face_lives(bench: Callable[..., Bench]) -> None:
    b = bench().at(0)
    b.settle()
    b.at(1000)
    assert len(b.until(5)) == 25
    assert b.worker.status.filled_audio_samples == 0


def test_before_the_clock_begins_nothing_happens(bench: Callable[..., Bench]) -> None:
    b = bench()
    assert b.settle() == 0
    b.sound(0, 4)
    assert b.settle() == 0
    b.at(200).until(1)


def test_a_clock_that_goes_back_begins_a_new_conversation(bench: Callable[..., Bench]) -> None:
    b = bench().at(0)
    b.sound(0, 9)
    b.at(400).until(2)
    b.jump(START - 60_000 * MS).settle()
    assert any("went back" in text for text in b.warnings)
    assert b.worker.status.blocks == 0


DAY_NS = 24 * 3600 * 1_000_000_000


@pytest.mark.parametrize("keep_pace", [True, False])
def test_a_clock_that_jumps_ahead_begins_a_new_conversation(
    bench: Callable[..., Bench], keep_pace: bool
) -> None:
    """A second recording from a day later, or a step of NTP; what it costs is a block."""
    b = bench(keep_pace=keep_pace).at(0)
    b.sound(0, 9)
    b.at(400).until(2)
    b.frames.clear()
    breaks = b.worker.user_audio_breaks, b.worker.avatar_audio_breaks
    b.jump(START + DAY_NS)
    stamp_ns = START + DAY_NS
    b.worker.push_user_audio(AudioChunk(np.full(3200, 0.1, np.float32), 16_000, stamp_ns))
    b.settle()
    assert any("jumped ahead by 86" in text for text in b.warnings)
    b.jump(stamp_ns + 200 * MS)
    assert b.until(1)[0].stamp_ns == stamp_ns
    assert b.settle() == 1
    assert b.worker.status.skipped_blocks == 0
    assert b.worker.status.refused_inputs == 0
    assert (b.worker.user_audio_breaks, b.worker.avatar_audio_breaks) == tuple(
        n + 1 for n in breaks
    )


def test_a_jump_is_seen_between_the_inputs_of_before_and_after_it(
    bench: Callable[..., Bench],
) -> None:
    """However busy the worker is; nothing of the old day comes into the new one."""
    b, go_on = bench().at(0), threading.Event()
    b.sound(0, 9)
    b.at(400).until(2)
    b.worker.call(lambda session: go_on.wait(PATIENCE_S))
    b.sound(10, 30)
    b.now_ns += DAY_NS
    stamp_ns = b.now_ns
    b.worker.push_avatar_audio(AudioChunk(np.full(640, 0.1, np.float32), 16_000, stamp_ns))
    go_on.set()
    b.settle()
    assert b.session.avatar_audio_track.waiting_samples == 640
    assert b.session.user_audio_track.waiting_samples == 0


def test_what_was_on_its_way_during_a_jump_begins_no_conversation_in_the_past(
    bench: Callable[..., Bench],
) -> None:
    b = bench().at(0)
    b.sound(0, 4)
    b.at(200).until(1)
    b.frames.clear()
    b.jump(START + DAY_NS)
    b.sound(5, 5)
    b.settle()
    b.jump(START + DAY_NS + 280 * MS)
    assert b.until(1)[0].stamp_ns >= START + DAY_NS
    assert b.settle() == 1


def test_a_machine_that_was_suspended_goes_on(bench: Callable[..., Bench]) -> None:
    """Both clocks have moved: the time is given up, whatever it was, and the talk is the same."""
    b = bench(keep_pace=True).at(0)
    b.sound(0, 4)
    b.at(200).until(1)
    b.at(200 + DAY_NS // MS)
    b.settle()
    b.at(600 + DAY_NS // MS).until(2)
    assert b.worker.status.skipped_blocks == DAY_NS // (200 * MS) - 1  # the next is made
    assert not b.warnings


def test_a_replay_that_is_played_fast_does_not_jump(bench: Callable[..., Bench]) -> None:
    """Nor does one of which a slow machine sees little."""
    b = bench().at(0)
    for k in range(5):
        b.jump(START + 9_000 * MS * k)
        b.settle()
    b.at(90_000).settle()
    assert not b.warnings


def test_no_input_of_far_ahead_is_kept(bench: Callable[..., Bench]) -> None:
    b = bench().at(0)
    b.sound(0, 4)
    far_ns = START + 100_000 * MS
    for k in range(50):
        b.worker.push_user_audio(AudioChunk(np.ones(640, np.float32), 16_000, far_ns + k * DAY_NS))
        b.worker.push_user_frame(VideoFrame(np.zeros((2, 2, 3), np.uint8), far_ns + k * MS))
        b.worker.push_user_motion(np.zeros(TINY.motion_dim, np.float32), far_ns)
    b.at(200).until(1)
    b.settle()  # some may have come after the block began
    assert b.worker.status.refused_inputs == 150
    assert not b.session.user_frames.started
    assert any("s ahead" in text for text in b.warnings)


def holes(bench: Callable[..., Bench], chunk_ms: int, lasts_ms: int = 6000) -> tuple[Bench, float]:
    """A microphone that sends each chunk when it is full; how much of it was missing."""
    b = bench(keep_pace=True).at(0)
    for now_ms in range(0, lasts_ms + 1, 4):
        if now_ms and now_ms % chunk_ms == 0:
            begin_ns = START + (now_ms - chunk_ms) * MS
            sound = np.full(chunk_ms * 16, 0.1, np.float32)
            b.now_ns = START + now_ms * MS
            b.steady_ns = b.now_ns
            b.worker.push_user_audio(AudioChunk(sound, 16_000, begin_ns))
        if now_ms % 20 == 0:
            b.at(now_ms).settle()
    made = len(b.frames) * 640
    return b, b.worker.status.filled_audio_samples / made


@pytest.mark.parametrize("chunk_ms", [20, 64, 128, 256, 1000])
def test_a_microphone_that_sends_long_chunks_has_no_holes(
    bench: Callable[..., Bench], chunk_ms: int
) -> None:
    b, missing = holes(bench, chunk_ms)
    assert missing == 0.0
    status = b.worker.status
    assert status.microphone_chunk_ms == chunk_ms
    assert status.microphone_wait_ms == max(80.0, min(chunk_ms, 1000) + 60.0)
    assert status.undrawn_frames == status.skipped_blocks == 0
    assert all(frame.pixels is not None for frame in b.frames)


def test_a_sound_that_is_sent_ahead_of_its_time_is_not_waited_for(
    bench: Callable[..., Bench],
) -> None:
    b = bench().at(0)
    b.worker.push_user_audio(AudioChunk(np.ones(16_000, np.float32), 16_000, START))
    b.at(1000).until(5)
    assert b.worker.status.microphone_wait_ms == 80.0
    b.at(1280).until(6)


def test_a_machine_that_is_slow_keeps_all_pictures_of_a_replay(
    bench: Callable[..., Bench],
) -> None:
    b, go_on = bench().at(0), threading.Event()
    b.settle()
    b.worker.call(lambda session: go_on.wait(PATIENCE_S))
    for k in range(400):
        stamp_ns = START + k * FRAME_PERIOD_NS
        b.worker.push_user_frame(VideoFrame(np.zeros((2, 2, 3), np.uint8), stamp_ns))
    go_on.set()
    b.at(16_000).until(80)
    assert b.session.tracked_frames == 400
    assert b.worker.status.dropped_user_frames == 0


def test_reset_forgets_and_begins_again(bench: Callable[..., Bench]) -> None:
    b = bench(gather_ms=100.0).at(0)

    def conversation(at_ms: float) -> list[NDArray[np.float32]]:
        b.frames.clear()
        b.sound(0, 9)
        b.settle()
        return [frame.latent for frame in b.at(at_ms).until(2)]

    first = conversation(400)
    b.worker.reset().result(PATIENCE_S)
    again = conversation(500)
    assert np.array_equal(first, again)


def test_stopping_speech_tells_how_much_was_dropped(bench: Callable[..., Bench]) -> None:
    b = bench().at(0)
    b.sound(0, 49, user=False)
    b.at(200).until(1)
    assert b.worker.stop_speaking().result(PATIENCE_S) > 40 * 640
    last = b.at(400).until(2)[-1]
    assert not last.audio.any()
    assert b.worker.status.waiting_avatar_audio_samples == 0


def test_what_came_before_a_command_is_there_when_it_runs(bench: Callable[..., Bench]) -> None:
    """Voice that was put before speech is stopped is not said, however busy the worker was."""
    b, go_on = bench().at(0), threading.Event()
    b.sound(0, 4, user=False)
    b.at(200).until(1)
    b.worker.call(lambda session: go_on.wait(PATIENCE_S))
    b.sound(5, 24, user=False)
    stopped = b.worker.stop_speaking()
    b.sound(25, 25, user=False)
    go_on.set()
    assert stopped.result(PATIENCE_S) >= 20 * 640
    b.settle()
    assert b.session.avatar_audio_track.waiting_samples == 640


def test_what_has_no_stamp_before_the_clock_begins_came_when_it_began(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    b.worker.push_user_audio(AudioChunk(np.zeros(640, np.float32), 16_000, 0))
    b.settle()
    b.at(0).settle()
    assert b.at(400).until(1)[0].stamp_ns == START


def test_bad_input_is_counted_and_left_out(bench: Callable[..., Bench]) -> None:
    b = bench().at(0)
    b.worker.push_user_audio(AudioChunk(np.zeros(10, np.float32), 44_100, START))
    b.worker.push_user_audio(AudioChunk(np.zeros(10, np.float32), 16_000, START + 10**14))
    b.sound(0, 4)
    b.at(200).until(1)
    assert b.worker.status.refused_inputs == 2
    assert any("44100" in text for text in b.warnings)


def test_a_block_that_fails_does_not_end_the_avatar(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench().at(0)
    b.settle()
    step, failures = b.session.engine.step, [RuntimeError("out of memory")] * (MAX_FAILURES - 1)

    def sometimes(*arguments: object) -> object:
        if failures:
            raise failures.pop()
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(b.session.engine, "step", sometimes)
    for k in range(1, 30):
        b.at(200 * k)
        b.settle()
    assert b.worker.alive
    assert len(b.frames) > 0
    assert any("out of memory" in text for text in b.warnings)
    assert b.worker.status.failed_blocks == MAX_FAILURES - 1


def test_too_slow_a_machine_draws_less_then_gives_time_up(bench: Callable[..., Bench]) -> None:
    b = bench(keep_pace=True).at(0)
    b.sound(0, 4)
    b.at(200).until(1)
    b.at(950).until(4)  # half a second behind: the picture stays
    assert b.frames[5].pixels is None
    assert b.worker.status.undrawn_frames >= 5
    b.at(10_000).until(5)
    b.settle()
    assert b.worker.status.skipped_blocks > 30
    assert b.frames[-1].stamp_ns >= START + 9_000 * MS


def test_a_replay_never_gives_anything_up(bench: Callable[..., Bench]) -> None:
    b = bench(keep_pace=False).at(0)
    b.sound(0, 49)
    frames = b.at(60_000).until(10)
    assert all(frame.pixels is not None for frame in frames[:50])
    assert b.worker.status.skipped_blocks == 0


def test_a_late_block_is_made_of_all_that_has_come(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs that come while an earlier block is made, however late that is."""
    b = bench(deadline_ms=80.0).at(0)
    b.sound(0, 4)
    b.settle()
    step = b.session.engine.step

    def meanwhile(*arguments: object) -> object:
        first = b.session.next_frame
        b.sound(first + 5, first + 9)
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(b.session.engine, "step", meanwhile)
    b.at(2000).until(10)
    assert b.worker.status.filled_audio_samples == 0


def test_a_frame_goes_out_before_the_next_is_drawn(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench().at(0)
    b.sound(0, 4)
    decode, out = b.session.codec.decode, []

    def drawing(motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        out.append(len(b.frames))
        return decode(motion)

    monkeypatch.setattr(b.session.codec, "decode", drawing)
    b.at(200).until(1)
    assert out == [0, 1, 2, 3, 4]


def test_pictures_are_looked_at_before_their_block_is_due(bench: Callable[..., Bench]) -> None:
    b = bench().at(0)
    for k in range(18):
        stamp_ns = START + k * FRAME_PERIOD_NS
        b.worker.push_user_frame(VideoFrame(np.full((2, 2, 3), k, np.uint8), stamp_ns))
    b.at(400).until(2)
    for _ in range(4):
        assert b.settle() == 2
    assert b.session.tracked_frames == 3 * BLOCK
    assert b.at(600).until(3)[-1].block_index == 2


def test_speaking_is_told_frame_by_frame(bench: Callable[..., Bench]) -> None:
    b = bench().at(0)
    b.sound(0, 9, user=False)
    for k in range(1, 6):
        b.at(200 * k + 80).until(k)  # the voice might go on: its deadline is waited for once
    speaking = [frame.speaking for frame in b.frames]
    assert speaking[5]
    assert not speaking[-1]
    assert max(frame.speech_level for frame in b.frames) > 0.5
    assert b.frames[-1].speech_level < 0.05


def test_what_is_asked_of_a_worker_that_has_ended_fails_with_a_reason() -> None:
    """Whoever waits for the answer must not wait for ever."""
    b = Bench(LiveConfig(gather_ms=0.0))
    begun, go_on = threading.Event(), threading.Event()

    def long(session: Session) -> None:
        begun.set()
        go_on.wait(PATIENCE_S)

    first = b.worker.call(long)
    assert begun.wait(PATIENCE_S)
    in_time = b.worker.call(lambda session: 3)
    ending = threading.Thread(target=b.worker.stop)
    ending.start()
    while not b.worker.stopping:
        ending.join(0.001)
    go_on.set()
    ending.join(PATIENCE_S)
    first.result(PATIENCE_S)
    assert in_time.result(PATIENCE_S) == 3  # asked before the end: a face is not lost so
    late = b.worker.call(lambda session: None)
    for future in (late, b.worker.reset(), b.worker.stop_speaking()):
        with pytest.raises(ConversationError, match="one that has ended"):
            future.result(PATIENCE_S)
