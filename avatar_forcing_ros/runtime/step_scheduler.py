"""Blocks of several conversations made together, on one set of weights.

Every conversation keeps its own threads, face, sampling, seed and queues; what they share is the
network. Whoever needs a block leaves a request and waits for its result; one thread makes what
waits in batches. Conversations on one grid of blocks (see `Conversation`) ask at the same moments,
and while one batch is made the next one gathers: the busier the machine, the larger the batches.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import MotionBlock
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.state import StreamState
from avatar_forcing_ros.timebase import FRAME_PERIOD_S, SAMPLES_PER_FRAME

MAX_BATCH = 8
"""Conversations in a batch: larger ones gain little, and all in them wait for the whole."""
GATHER_S = 0.006
"""How long a batch waits for conversations whose block should be asked for about now."""
BUSY_LOAD, BUSY_FACTOR = 0.5, 4.0
"""Of the time, from which on it waits so many times as long: else two that are out of step stay so
for ever, each waiting for the other's block to be made, at the price of two."""
JUDGED_BATCHES = 8
DUE_BLOCKS = 0.5, 1.5
"""So long after its last block was asked for a conversation's next one is about to be."""
MAX_WAITING = 256  # requests: each conversation has one at most


class _Request(NamedTuple):
    """A block that somebody waits for."""

    asker: SharedEngine
    drawn: SamplingConfig  # without the seed, which every state has for itself
    nfe: int  # fewer than those of `drawn` where time is short
    state: StreamState
    inputs: BlockInput
    came_s: float
    future: Future[MotionBlock]


@dataclass(frozen=True)
class SchedulerStatus:
    """What a scheduler has done since it began."""

    blocks: int = 0
    batches: int = 0
    largest_batch: int = 0
    failed_blocks: int = 0
    compute_s: float = 0.0
    """Time that all batches took together."""
    waiting: int = 0
    """Blocks that wait now."""


@dataclass
class _Counts:
    sizes: dict[int, int] = field(default_factory=dict)  # of batches -> how many there were
    failed: int = 0
    compute_s: float = 0.0


class StepScheduler(StoppableThread):
    """The thread that owns a `MotionEngine` and makes the blocks of all conversations on it.

    One request that fails delays no other but by the time of its failure: its batch is made again
    one by one, and the error goes to whoever asked for that block.
    """

    def __init__(
        self,
        engine: MotionEngine,
        *,
        max_batch: int = MAX_BATCH,
        gather_s: float = GATHER_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("avatar-steps")
        self.engine = engine
        self.sampling = engine.sampling  # that conversations begin with; the engine's own changes
        self._max_batch, self._gather_s, self._now_s = max_batch, gather_s, now_s
        self._block_s = engine.config.block_frames * FRAME_PERIOD_S
        self._waiting: deque[_Request] = deque()
        self._asked_s: dict[SharedEngine, float] = {}  # when each live one last did
        self._counts = _Counts()
        self._recent: deque[tuple[float, float]] = deque(maxlen=JUDGED_BATCHES)  # began, ended

    def conversation(self) -> SharedEngine:
        """The engine for one more conversation."""
        return SharedEngine(self)

    def warm_up(self) -> None:
        """Record every size of batch, before `start`; does nothing where nothing is recorded."""
        if not self.engine.is_recorded:
            return
        for size in _powers(self._max_batch):
            for blocks in self.engine.warm_up_blocks:
                states = [self.engine.new_state() for _ in range(size)]
                for _ in range(blocks):
                    silent = np.zeros(
                        self.engine.frames(states[0]) * SAMPLES_PER_FRAME, np.float32
                    )
                    self.engine.step_many(states, [BlockInput(silent, silent)] * size)

    def step(self, asker: SharedEngine, state: StreamState, inputs: BlockInput) -> MotionBlock:
        """As `MotionEngine.step`, together with what others ask for.

        Raises ConversationError, too, where the scheduler has ended or is asked for too much.
        """
        inputs.check(self.engine.frames(state))  # so that it fails here and nowhere else
        drawn = replace(asker.sampling, seed=0)
        with self._wake:
            now_s = self._now_s()
            request = _Request(asker, drawn, asker.nfe, state, inputs, now_s, Future())
            if self._stopping or not self.alive:
                raise _ended()
            if len(self._waiting) >= MAX_WAITING:
                raise ConversationError(
                    "a block",
                    expected=f"no more than {MAX_WAITING} to wait",
                    got="one more",
                    remedy="hold fewer conversations at a time",
                )
            self._waiting.append(request)
            self._note(asker, now_s)
            self._wake.notify()
        return request.future.result()

    @property
    def status(self) -> SchedulerStatus:
        """What has been done so far."""
        with self._wake:
            counts = self._counts
            return SchedulerStatus(
                blocks=sum(size * times for size, times in counts.sizes.items()),
                batches=sum(counts.sizes.values()),
                largest_batch=max(counts.sizes, default=0),
                failed_blocks=counts.failed,
                compute_s=counts.compute_s,
                waiting=len(self._waiting),
            )

    def _note(self, asker: SharedEngine, now_s: float) -> None:
        """It asks now; forget those that have not for so long that nobody waits for them."""
        oldest_s = now_s - DUE_BLOCKS[1] * self._block_s
        self._asked_s = {each: at_s for each, at_s in self._asked_s.items() if at_s > oldest_s}
        self._asked_s[asker] = now_s

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                self._make(batch)
        finally:
            with self._wake:
                self._stopping = True
                left, self._waiting = self._waiting, deque()
            for request in left:
                request.future.set_exception(_ended())

    def _next_batch(self) -> list[_Request]:
        """The oldest request, and others that are drawn in the same way; none at the end."""
        with self._wake:
            while not self._waiting and not self._stopping:
                self._wake.wait()
            self._gather()
            if self._stopping:
                return []
            drawn = self._waiting[0].drawn
            batch = [each for each in self._waiting if each.drawn == drawn][: self._max_batch]
            chosen = {id(each) for each in batch}
            self._waiting = deque(each for each in self._waiting if id(each) not in chosen)
            return batch

    def _gather(self) -> None:
        """Wait a moment for those who are about to ask; whoever is late is not waited for."""
        while not self._stopping and len(self._waiting) < self._max_batch:
            now_s = self._now_s()
            is_busy = self._load(now_s) > BUSY_LOAD
            patience_s = self._gather_s * (BUSY_FACTOR if is_busy else 1.0)
            until_s = self._waiting[0].came_s + patience_s
            if now_s >= until_s or not self._is_anybody_due(now_s):
                return
            self._wake.wait(until_s - now_s)

    def _load(self, now_s: float) -> float:
        """The part of the last time that batches took."""
        if not self._recent or now_s <= self._recent[0][0]:
            return 0.0
        taken_s = sum(ended_s - began_s for began_s, ended_s in self._recent)
        return taken_s / (now_s - self._recent[0][0])

    def _is_anybody_due(self, now_s: float) -> bool:
        """Whether somebody who does not wait yet asked about a block ago."""
        here = {request.asker for request in self._waiting}
        first, last = (blocks * self._block_s for blocks in DUE_BLOCKS)
        return any(
            first < now_s - at_s < last
            for asker, at_s in self._asked_s.items()
            if asker not in here
        )

    def _make(self, batch: list[_Request]) -> None:
        began_s = self._now_s()
        try:
            # where time is short for one of them it is for all, who have the same machine
            nfe = min(request.nfe for request in batch)
            self.engine.set_sampling(replace(batch[0].drawn, nfe=nfe))
            for members in self.engine.batches([request.state for request in batch]):
                for part in self._parts(members):
                    self._make_together([batch[i] for i in part])
        except Exception as error:  # whatever it is, the others' next blocks are made
            for request in batch:
                if not request.future.done():
                    request.future.set_exception(error)
        self._recent.append((began_s, self._now_s()))

    def _parts(self, members: Sequence[int]) -> Iterator[Sequence[int]]:
        """All at once; where a device records, as many as it has a recording for."""
        if not self.engine.is_recorded:
            yield members
            return
        while members:
            size = 1 << (len(members).bit_length() - 1)
            yield members[:size]
            members = members[size:]

    def _make_together(self, requests: list[_Request]) -> None:
        """Make their blocks; where that fails, one by one, so that only the guilty one fails."""
        began_s = time.perf_counter()
        try:
            blocks = self.engine.step_many(
                [request.state for request in requests], [request.inputs for request in requests]
            )
        except Exception as error:
            if len(requests) > 1:
                for request in requests:
                    self._make_together([request])
                return
            with self._wake:
                self._counts.failed += 1
            requests[0].future.set_exception(error)
            return
        with self._wake:
            counts, size = self._counts, len(requests)
            counts.sizes[size] = counts.sizes.get(size, 0) + 1
            counts.compute_s += time.perf_counter() - began_s
        for request, block in zip(requests, blocks, strict=True):
            request.future.set_result(block)


class SharedEngine:
    """What one conversation sees of the engine that many share; its sampling is its own.

    Stands for a `MotionEngine` in a `Session`, whose thread waits while a block is made.
    """

    is_shared = True

    def __init__(self, scheduler: StepScheduler) -> None:
        self._scheduler = scheduler
        engine = scheduler.engine
        self.config, self.sampling = engine.config, scheduler.sampling
        self.nfe = self.sampling.nfe
        self.is_recorded = engine.is_recorded
        self.warm_up_blocks = engine.warm_up_blocks

    @property
    def identity(self) -> dict[str, Any]:
        """See `MotionEngine.identity`."""
        return self._scheduler.engine.identity

    def set_sampling(self, sampling: SamplingConfig) -> None:
        """Draw this conversation's next blocks in another way."""
        self.sampling, self.nfe = sampling, sampling.nfe

    def set_evaluations(self, nfe: int) -> None:
        """Have the next blocks made with so many function evaluations at most.

        Whoever is in a batch with this conversation gets no more, either: a batch of its own for
        each would cost what was to be saved.
        """
        self.nfe = nfe

    def new_state(
        self, reference: NDArray[np.float32] | None = None, seed: int | None = None
    ) -> StreamState:
        """See `MotionEngine.new_state`."""
        seed = self.sampling.seed if seed is None else seed
        return self._scheduler.engine.new_state(reference, seed)

    def reference(self, motion: NDArray[np.float32] | None = None) -> Tensor:
        """See `MotionEngine.reference`."""
        return self._scheduler.engine.reference(motion)

    def frames(self, state: StreamState) -> int:
        """How many frames the next block of `state` has."""
        return self._scheduler.engine.frames(state)

    def step(self, state: StreamState, inputs: BlockInput) -> MotionBlock:
        """See `StepScheduler.step`."""
        return self._scheduler.step(self, state, inputs)


def _powers(limit: int) -> list[int]:
    """1, 2, 4 … up to `limit`."""
    return [1 << k for k in range(limit.bit_length())]


def _ended() -> ConversationError:
    return ConversationError(
        "a block",
        expected="a scheduler that makes it",
        got="one that was not started, or has ended",
        remedy="start the conversations anew",
    )
