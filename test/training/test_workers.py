"""Jobs in several processes: every result comes, and a killed worker is an error, not a hang."""

from __future__ import annotations

import os

import pytest
import torch

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.training.workers import one_thread, run_jobs


def square(number: int) -> int:
    return number * number


def die(number: int) -> int:
    os._exit(number)


def test_one_worker_works_in_this_process() -> None:
    made: list[int] = []
    assert dict(run_jobs(made.append, [3, 4], 1)) == {0: None, 1: None}
    assert made == [3, 4]


def test_several_workers_give_every_result() -> None:
    assert dict(run_jobs(square, [1, 2, 3], 2)) == {0: 1, 1: 4, 2: 9}


def test_a_killed_worker_is_reported() -> None:
    with pytest.raises(OutputError, match="killed"):
        dict(run_jobs(die, [9, 9], 2))


def test_the_number_of_threads_comes_back() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
