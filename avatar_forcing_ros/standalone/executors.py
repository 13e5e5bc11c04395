"""Executors: they wait for what the nodes' entities have to do, and do it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cyclonedds.core import DDSException

from avatar_forcing_ros.standalone import wire
from avatar_forcing_ros.standalone.context import Context, get_default_context
from avatar_forcing_ros.standalone.exceptions import (
    ExternalShutdownException,
    NotInitializedException,
    ShutdownException,
    TimeoutException,
)
from avatar_forcing_ros.standalone.task import Future, Task

# Python runs signal handlers only between two waits in the main thread
_LONGEST_WAIT_NS = 200_000_000


class Executor:
    """Base of both executors; a node belongs to at most one."""

    def __init__(self, *, context: Context | None = None) -> None:
        self._context = context or get_default_context()
        self._nodes: list[Any] = []
        self._lock = threading.RLock()
        self._to_poll: deque[Any] = deque()
        self._tasks: deque[Task] = deque()
        self._waitlist: wire.WaitList | None = None
        self._waits_on: wire.Participant | None = None
        self._shut_down = False
        self._working = 0
        self._quiet = threading.Condition()

    @property
    def context(self) -> Context:
        """The context whose shutdown ends spinning."""
        return self._context

    def add_node(self, node: Any) -> bool:
        """Takes care of the node from now on; False where it did before."""
        with self._lock:
            if self._shut_down:
                raise ShutdownException
            if node in self._nodes:
                return False
            self._nodes.append(node)
            node.executor = self
        self.wake()
        return True

    def remove_node(self, node: Any) -> None:
        """Leaves the node alone from now on."""
        with self._lock:
            if node in self._nodes:
                self._nodes.remove(node)
                self._to_poll = deque(e for e in self._to_poll if e[0] is not node)
        if node.executor is self:
            node.executor = None
        self.wake()

    def get_nodes(self) -> list[Any]:
        """The nodes that it takes care of."""
        return list(self._nodes)

    def wake(self) -> None:
        """Looks at everything again."""
        waitlist = self._waitlist
        if waitlist is not None:
            waitlist.wake()

    def create_task(self, callback: Any, *args: Any, **kwargs: Any) -> Task:
        """Runs a function or coroutine while spinning."""
        task = Task(callback, args, kwargs, executor=self)
        self._enqueue(task)
        return task

    def _enqueue(self, task: Task) -> None:
        self._tasks.append(task)
        self.wake()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Ends spinning, waits for callbacks that run; False where the time is over before."""
        self._shut_down = True
        self.wake()
        with self._quiet:
            done = self._quiet.wait_for(lambda: self._working == 0, timeout_sec)
        for node in self.get_nodes():
            self.remove_node(node)
        return done

    def spin(self) -> None:
        """Works until the context or the executor is shut down."""
        while self._context.ok() and not self._shut_down:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Waits for one callback and runs it, or starts it."""
        try:
            task = self._next_task(timeout_sec)
        except (TimeoutException, ShutdownException):
            return
        self._run(task)

    def spin_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Works until the future is done, the time is over, or the context is shut down."""
        future.add_done_callback(lambda _: self.wake())
        end_s = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while self._context.ok() and not future.done() and not self._shut_down:
            left_s = None if end_s is None else end_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return
            self.spin_once_until_future_complete(future, left_s)

    def spin_once_until_future_complete(
        self, future: Future, timeout_sec: float | None = None
    ) -> None:
        """Waits for one callback and runs it, unless the future is done before."""
        try:
            task = self._next_task(timeout_sec, future)
        except (TimeoutException, ShutdownException):
            return
        self._run(task)

    def _run(self, task: Task) -> None:
        raise NotImplementedError

    def _next_task(self, timeout_s: float | None, until: Future | None = None) -> Task:
        """The next thing to do; raises when the time is over or something was shut down."""
        forever = timeout_s is None or timeout_s < 0
        end_s = None if forever else time.monotonic() + timeout_s  # type: ignore[operator]
        waited = False
        while True:
            self._raise_failure()
            if self._tasks:
                return self._tasks.popleft()
            while self._to_poll:
                task = self._try(*self._to_poll.popleft())
                if task is not None:
                    return task
            if not self._context.ok():
                raise ExternalShutdownException
            if self._shut_down:
                raise ShutdownException
            left_s = None if end_s is None else end_s - time.monotonic()
            if (until is not None and until.done()) or (
                waited and left_s is not None and left_s <= 0
            ):
                raise TimeoutException
            self._wait(left_s)
            waited = True

    def _raise_failure(self) -> None:
        """Where callbacks run elsewhere: what one of them raised."""

    def _try(self, node: Any, entity: Any) -> Task | None:
        """A task for what the entity has to do, if it has and its group lets it."""
        group = entity.callback_group
        if not group.beginning_execution(entity):
            return None
        try:
            work = entity.take()
        except DDSException:
            group.ending_execution(entity)
            if self._context.ok() and entity in node.entities():
                raise
            return None  # destroyed by another thread, or with the context
        except BaseException:
            group.ending_execution(entity)
            raise
        if work is None:
            group.ending_execution(entity)
            return None
        task = Task(work, executor=self)
        task.add_done_callback(lambda _: self._ended(group, entity))
        return task

    def _ended(self, group: Any, entity: Any) -> None:
        group.ending_execution(entity)

    def _wait(self, left_s: float | None) -> None:
        """Sleeps until something may be ready; then everything is to be polled."""
        longest_ns = _LONGEST_WAIT_NS
        if left_s is not None:
            longest_ns = min(longest_ns, int(left_s * 1e9))
        conditions = set()
        with self._lock:
            entities = [(node, entity) for node in self._nodes for entity in node.entities()]
        for _, entity in entities:
            if not entity.callback_group.can_execute(entity):
                continue
            if entity.condition is not None:
                conditions.add(entity.condition)
            elif (due_ns := entity.wait_ns()) is not None:
                longest_ns = min(longest_ns, due_ns)
        try:
            with self._context.in_use(self):
                if self._context.ok() and not self._tasks:
                    graph = self._context.graph
                    waitlist = self._waitlist_of(self._context.participant)
                    waitlist.wait(conditions | {graph.condition}, max(0, longest_ns))
                    graph.listen()
        except (DDSException, NotInitializedException):
            if self._context.ok():
                raise
        self._to_poll.extend(entities)

    def _waitlist_of(self, participant: wire.Participant) -> wire.WaitList:
        if self._waitlist is None or self._waits_on is not participant:
            self._waitlist, self._waits_on = wire.WaitList(participant), participant
        return self._waitlist

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


class SingleThreadedExecutor(Executor):
    """Runs callbacks one after another in the thread that spins."""

    def _run(self, task: Task) -> None:
        task()
        if task.done():
            task.result()


class MultiThreadedExecutor(Executor):
    """Runs callbacks in a pool of threads, as far as their groups let them run together."""

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        threads = num_threads or max(2, len(os.sched_getaffinity(0)))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rclpy")
        self._failures: deque[BaseException] = deque()

    def _run(self, task: Task) -> None:
        with self._quiet:
            if self._shut_down:
                task.cancel()
                return
            self._working += 1
            self._pool.submit(self._run_in_pool, task)

    def _run_in_pool(self, task: Task) -> None:
        try:
            task()
            if task.done():
                task.result()
        except BaseException as error:
            self._failures.append(error)
        finally:
            with self._quiet:
                self._working -= 1
                self._quiet.notify_all()
            self.wake()

    def _ended(self, group: Any, entity: Any) -> None:
        super()._ended(group, entity)
        self.wake()

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures.popleft()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Ends spinning and the threads; False where callbacks run longer than the time."""
        done = super().shutdown(timeout_sec)
        self._pool.shutdown(wait=done)
        return done
