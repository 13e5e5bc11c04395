"""Jobs in several processes, with one thread of networks each.

The networks' matrices are small: two processes are twice as fast as one, two threads of one
process slower than one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2
import torch

from avatar_forcing_ros.errors import OutputError

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Generator[tuple[int, Result], None, None]:
    """Which of `jobs` is finished, and its result, as they finish.

    One worker, or one job, runs in this process. Raises OutputError where a worker was killed.
    """
    if min(workers, len(jobs)) <= 1:
        yield from ((i, work(job)) for i, job in enumerate(jobs))
        return
    with _process_pool(min(workers, len(jobs))) as pool:
        waiting = {pool.submit(work, job): i for i, job in enumerate(jobs)}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise OutputError(
                "worker processes",
                expected="all of them to run to the end",
                got="one that was killed from outside, perhaps for lack of memory",
                remedy="run again with fewer --workers",
            ) from error


@contextmanager
def one_thread() -> Iterator[None]:
    """The networks of this process run on one thread in the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, which do not outlive the block whatever ends it."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    with pool:
        try:
            yield pool
        except BaseException:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()  # a recording may be an hour long
            raise


def _start_worker() -> None:
    """One thread, and an end with the process that wanted the work."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback: the parent reports it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)  # killed itself; another run may already write the same files
