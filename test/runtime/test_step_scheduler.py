"""Blocks made together: what each gets alone, and nobody waits for anybody else's trouble."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from fakes import FakeCodec
from numpy.typing import NDArray
from tiny import TINY, part, talk, tiny_engine, tiny_generator

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.errors import ConversationError, GenerationError
from avatar_forcing_ros.media import AudioChunk, MotionBlock
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.step_scheduler import SharedEngine, StepScheduler
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.state import StreamState

BLOCKS = 6
CLOSE = 2e-5  # as in test_many_conversations
PATIENCE_S = 20.0


class HeldEngine(MotionEngine):
    """Makes a batch when the test lets it, and notes which there were."""

    def __init__(self) -> None:
        super().__init__(tiny_generator(), SamplingConfig())
        self.begun, self.let = threading.Semaphore(0), threading.Semaphore(0)
        self.held = True
        self.sizes: list[int] = []
        self.evaluations: list[int] = []

    def step_many(
        self, states: Sequence[StreamState], inputs: Sequence[BlockInput]
    ) -> list[MotionBlock]:
        self.sizes.append(len(states))
        self.evaluations.append(self.sampling.nfe)
        self.begun.release()
        if self.held:
            assert self.let.acquire(timeout=PATIENCE_S)
        return super().step_many(states, inputs)


class Crowd:
    """Conversations on one scheduler, each asking from a thread of its own."""

    def __init__(self, engine: MotionEngine, count: int, **settings: float) -> None:
        self.scheduler = StepScheduler(engine, **settings)  # type: ignore[arg-type]
        self.engines = [self.scheduler.conversation() for _ in range(count)]
        self.states = [each.new_state(seed=who) for who, each in enumerate(self.engines)]
        self._pool = ThreadPoolExecutor(count)

    def ask(self, who: int, block: int = 0) -> Future[MotionBlock]:
        given = part(talk(TINY.block_frames * BLOCKS, seed=who), 5 * block, 5 * block + 5)
        return self._pool.submit(self.engines[who].step, self.states[who], given)

    def wait_until_waiting(self, count: int) -> None:
        while self.scheduler.status.waiting < count:
            threading.Event().wait(0.001)

    def close(self) -> None:
        assert self.scheduler.stop(PATIENCE_S)
        self._pool.shutdown()


@pytest.fixture
def held() -> Iterator[tuple[HeldEngine, Crowd]]:
    engine = HeldEngine()
    crowd = Crowd(engine, 5)
    crowd.scheduler.start()
    yield engine, crowd
    engine.held = False
    engine.let.release(100)
    crowd.close()


def alone(who: int, blocks: int) -> list[np.ndarray]:
    engine = tiny_engine()
    state = engine.new_state(seed=who)
    given = talk(TINY.block_frames * BLOCKS, seed=who)
    return [engine.step(state, part(given, 5 * k, 5 * k + 5)).latent for k in range(blocks)]


def test_what_waits_while_a_batch_is_made_is_the_next_batch(
    held: tuple[HeldEngine, Crowd],
) -> None:
    engine, crowd = held
    first = crowd.ask(0)
    assert engine.begun.acquire(timeout=PATIENCE_S)
    rest = [crowd.ask(who) for who in range(1, 5)]
    crowd.wait_until_waiting(4)
    engine.let.release(2)
    blocks = [asked.result(PATIENCE_S) for asked in (first, *rest)]
    assert engine.sizes == [1, 4]
    for who, block in enumerate(blocks):
        np.testing.assert_allclose(block.latent, alone(who, 1)[0], atol=CLOSE, rtol=0)
    status = crowd.scheduler.status
    assert (status.blocks, status.batches, status.largest_batch) == (5, 2, 4)


def test_each_gets_what_it_gets_alone_and_a_lone_one_the_very_same_bits() -> None:
    crowd = Crowd(tiny_engine(), 3)
    crowd.scheduler.start()
    made = [[crowd.ask(who, k).result(PATIENCE_S).latent for k in range(2)] for who in (0,)]
    assert np.array_equal(made[0], alone(0, 2))
    for k in range(2):
        for asked, expected in [(crowd.ask(who, k), alone(who, k + 1)[k]) for who in (1, 2)]:
            np.testing.assert_allclose(
                asked.result(PATIENCE_S).latent, expected, atol=CLOSE, rtol=0
            )
    crowd.close()


def test_conversations_that_began_at_other_times_go_together_and_apart(
    held: tuple[HeldEngine, Crowd],
) -> None:
    """Those that have come equally far are one batch; a first block is one of its own."""
    engine, crowd = held
    engine.let.release(1)
    crowd.ask(1).result(PATIENCE_S)
    assert engine.begun.acquire(timeout=PATIENCE_S)
    asked = [crowd.ask(0)]
    assert engine.begun.acquire(timeout=PATIENCE_S)
    asked += [crowd.ask(1, 1), crowd.ask(2), crowd.ask(3)]
    crowd.wait_until_waiting(3)
    engine.let.release(3)
    young_and_old = [each.result(PATIENCE_S).block_index for each in asked]
    assert young_and_old == [0, 1, 0, 0]
    assert engine.sizes[:2] == [1, 1]
    assert sorted(engine.sizes[2:]) == [1, 2]


def test_other_samplings_are_other_batches_and_stay_each_conversations_own(
    held: tuple[HeldEngine, Crowd],
) -> None:
    engine, crowd = held
    crowd.engines[1].set_sampling(SamplingConfig(nfe=4))
    crowd.engines[2].set_sampling(SamplingConfig(seed=7))  # seeds are no reason
    asked = [crowd.ask(0)]
    assert engine.begun.acquire(timeout=PATIENCE_S)
    for count, who in enumerate((1, 2, 3), 1):
        asked.append(crowd.ask(who))
        crowd.wait_until_waiting(count)
    engine.let.release(3)
    blocks = [each.result(PATIENCE_S) for each in asked]
    assert engine.evaluations == [10, 4, 10]
    assert engine.sizes == [1, 1, 2]
    np.testing.assert_allclose(blocks[3].latent, alone(3, 1)[0], atol=CLOSE, rtol=0)
    assert crowd.scheduler.conversation().sampling == SamplingConfig()


def test_who_has_no_time_saves_evaluations_for_all_in_the_batch(
    held: tuple[HeldEngine, Crowd],
) -> None:
    """A batch of their own would cost more than what they save."""
    engine, crowd = held
    asked = [crowd.ask(0)]
    assert engine.begun.acquire(timeout=PATIENCE_S)
    crowd.engines[1].set_evaluations(5)
    for count, who in enumerate((1, 2), 1):
        asked.append(crowd.ask(who))
        crowd.wait_until_waiting(count)
    engine.let.release(2)
    for each in asked:
        each.result(PATIENCE_S)
    assert engine.evaluations == [10, 5]
    assert engine.sizes == [1, 2]
    assert crowd.engines[1].sampling == SamplingConfig()
    crowd.engines[1].set_sampling(SamplingConfig(seed=3))  # at full quality again
    engine.let.release(1)
    crowd.ask(1, 1).result(PATIENCE_S)
    assert engine.evaluations[-1] == 10


def test_one_that_cannot_be_made_fails_alone(held: tuple[HeldEngine, Crowd]) -> None:
    engine, crowd = held
    crowd.states[1].reference = crowd.states[1].reference * float("nan")
    asked = [crowd.ask(0)]
    assert engine.begun.acquire(timeout=PATIENCE_S)
    asked += [crowd.ask(who) for who in (1, 2, 3)]
    crowd.wait_until_waiting(3)
    engine.let.release(100)
    with pytest.raises(GenerationError):
        asked[1].result(PATIENCE_S)
    for who in (0, 2, 3):
        block = asked[who].result(PATIENCE_S)
        np.testing.assert_allclose(block.latent, alone(who, 1)[0], atol=CLOSE, rtol=0)
    assert [state.motion.block for state in crowd.states[:4]] == [1, 0, 1, 1]
    assert engine.sizes == [1, 3, 1, 1, 1]
    assert crowd.scheduler.status.failed_blocks == 1
    assert crowd.ask(2, 1).result(PATIENCE_S).block_index == 1


def test_an_input_of_the_wrong_length_is_refused_before_it_waits() -> None:
    scheduler = StepScheduler(tiny_engine())
    engine = scheduler.conversation()
    with pytest.raises(ValueError, match="avatar_audio lasts 4 frames, the block 5"):
        engine.step(engine.new_state(), BlockInput(np.zeros(4 * 640, np.float32)))


def test_a_batch_waits_for_who_is_about_to_ask_and_not_for_who_is_late() -> None:
    """With a clock that the test moves."""
    now = [100.0]
    crowd = Crowd(tiny_engine(), 3, gather_s=1e6, now_s=lambda: now[0])  # type: ignore[arg-type]
    crowd.scheduler.start()
    assert crowd.ask(0).result(PATIENCE_S).block_index == 0  # nobody else was ever heard of
    crowd.close()
    for late_s, together in ((0.0, 2), (50.0, 1)):
        crowd = Crowd(tiny_engine(), 2, gather_s=0.1, now_s=lambda: now[0])  # type: ignore[arg-type]
        crowd.scheduler.start()
        for who in (0, 1):
            crowd.ask(who).result(PATIENCE_S)
        now[0] += TINY.block_frames * 0.04 + late_s
        first = crowd.ask(0, 1)
        if not late_s:
            crowd.wait_until_waiting(1)
            assert not first.done()
            crowd.ask(1, 1).result(PATIENCE_S)
        first.result(PATIENCE_S)
        assert crowd.scheduler.status.largest_batch == together
        crowd.close()


@pytest.mark.parametrize(("took_s", "together"), [(0.09, 2), (0.01, 1)])
def test_a_busy_scheduler_waits_longer_so_that_two_come_into_step(
    took_s: float, together: int
) -> None:
    now = [100.0]

    class Slow(MotionEngine):
        def step_many(
            self, states: Sequence[StreamState], inputs: Sequence[BlockInput]
        ) -> list[MotionBlock]:
            now[0] += took_s
            return super().step_many(states, inputs)

    crowd = Crowd(Slow(tiny_generator(), SamplingConfig()), 2, now_s=lambda: now[0])  # type: ignore[arg-type]
    crowd.scheduler.start()
    for who in (0, 1):
        crowd.ask(who).result(PATIENCE_S)
    now[0] = max(now[0], 100.0 + 1.1 * TINY.block_frames * 0.04)
    first = crowd.ask(0, 1)
    crowd.wait_until_waiting(1)
    now[0] += 0.010
    if together == 1:
        first.result(PATIENCE_S)
    crowd.ask(1, 1).result(PATIENCE_S)
    first.result(PATIENCE_S)
    assert crowd.scheduler.status.largest_batch == together
    crowd.close()


def test_whoever_waits_is_told_when_the_scheduler_ends(held: tuple[HeldEngine, Crowd]) -> None:
    engine, crowd = held
    made = crowd.ask(0)
    assert engine.begun.acquire(timeout=PATIENCE_S)
    left = [crowd.ask(who) for who in (1, 2)]
    crowd.wait_until_waiting(2)
    assert not crowd.scheduler.stop(0.0)  # a batch is being made
    engine.let.release(1)
    assert made.result(PATIENCE_S).block_index == 0
    for each in left:
        with pytest.raises(ConversationError, match="has ended"):
            each.result(PATIENCE_S)
    assert crowd.scheduler.stop(PATIENCE_S)
    with pytest.raises(ConversationError, match="was not started, or has ended"):
        crowd.ask(3).result(PATIENCE_S)


def test_a_session_on_a_shared_engine_is_the_same_session() -> None:
    heard = talk(10)

    def run(engine: MotionEngine | SharedEngine) -> list[np.ndarray]:
        session = Session(engine, FakeCodec())  # type: ignore[arg-type]
        session.push_avatar_audio(AudioChunk(heard.avatar_audio, 16_000, 0))
        session.push_user_audio(AudioChunk(heard.avatar_audio, 16_000, 0))
        first = session.next_block().motion.motion
        session.set_quality(session.quality_levels()[-1])
        second = session.next_block().motion.motion
        session.reset(3)
        return [first, second, session.next_block().motion.motion]

    scheduler = StepScheduler(tiny_engine())
    scheduler.start()
    shared = run(scheduler.conversation())
    assert scheduler.stop(PATIENCE_S)
    assert all(np.array_equal(a, b) for a, b in zip(shared, run(tiny_engine()), strict=True))


def test_one_that_hangs_while_it_is_drawn_delays_no_other() -> None:
    scheduler = StepScheduler(tiny_engine())
    scheduler.start()
    let, hangs, frames = threading.Event(), threading.Event(), threading.Semaphore(0)

    class Hanging(FakeCodec):
        def drawn(self, motion: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
            hangs.set()
            assert let.wait(PATIENCE_S)
            yield from super().drawn(motion)

    sessions = [Session(scheduler.conversation(), codec) for codec in (Hanging(), FakeCodec())]  # type: ignore[arg-type]
    stuck, other = (Avatar(session, lambda where, text: None) for session in sessions)
    stuck.start(lambda frame: None)
    assert hangs.wait(PATIENCE_S)
    other.start(lambda frame: frames.release())
    for _ in range(4 * TINY.block_frames):
        assert frames.acquire(timeout=PATIENCE_S)
    assert stuck.status.blocks == 0
    let.set()
    for avatar in (stuck, other):
        avatar.stop()
    assert scheduler.stop(PATIENCE_S)
