"""Work for as many processes as there are cores: one thread of networks each.

The networks' matrices are small, so two processes are twice as fast as one, and two threads of
one process slower than one.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from avatar_forcing_ros.training.evaluation.rollout import Script, engine_for, roll
from avatar_forcing_ros.training.evaluation.variants import Variant
from avatar_forcing_ros.training.synthetic import Conversation, generate_conversation
from avatar_forcing_ros.training.synthetic_data import FIRST_SEED

SPLIT = "test"
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Rollout:
    """One batch: a variant of the generator takes the avatar's part in `scripts`."""

    variant: Variant
    scripts: tuple[Script, ...]
    seeds: tuple[int, ...]


@contextmanager
def processes(count: int) -> Iterator[Pool | None]:
    """A pool of `count` processes, None for one: the work is done in this process then."""
    if count == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield None
        finally:
            torch.set_num_threads(threads)
        return
    with multiprocessing.get_context("spawn").Pool(count, torch.set_num_threads, (1,)) as pool:
        yield pool


def held_out(count: int, seconds: float, seed: int, pool: Pool | None) -> list[Conversation]:
    """`count` conversations of the test split; `seed` 0 is its first."""
    first = FIRST_SEED[SPLIT] + seed
    return _all_of(_generate, [(first + i, seconds) for i in range(count)], pool, "conversations")


def rollouts(jobs: Sequence[Rollout], pool: Pool | None) -> list[list[NDArray[np.float32]]]:
    """Motion ``[T, K]`` of each script of each job."""
    return _all_of(_roll, jobs, pool, "rollouts")


def _all_of(
    work: Callable[[Job], Result], jobs: Sequence[Job], pool: Pool | None, name: str
) -> list[Result]:
    """`work` of all `jobs` in their order, with progress."""
    done = pool.imap(work, jobs) if pool else map(work, jobs)
    return list(tqdm(done, total=len(jobs), desc=name, unit="", disable=None))


def _generate(order: tuple[int, float]) -> Conversation:
    seed, seconds = order
    return generate_conversation(seed, seconds, SPLIT)


def _roll(job: Rollout) -> list[NDArray[np.float32]]:
    return roll(
        engine_for(job.variant),
        job.scripts,
        job.seeds,
        user_audio=job.variant.user_audio,
        user_motion=job.variant.user_motion,
    )
