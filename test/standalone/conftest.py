"""A domain of its own for every test worker, never beyond this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import PATIENCE_S, PEER, ROOT, wait_until

# workers of one run, and other programs on the machine, must not hear each other
WORKER = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
os.environ["ROS_DOMAIN_ID"] = os.environ.get("AVATAR_TEST_DOMAIN_ID", str(70 + WORKER % 20))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("ROS_LOCALHOST_ONLY", None)

try:
    import cyclonedds  # noqa: F401
    import rosbags  # noqa: F401
except ImportError:
    collect_ignore_glob = ["test_*.py"]


class Ros:
    """One context with an executor; nodes made here are spun by ``until``."""

    def __init__(self, args: list[str]) -> None:
        from avatar_forcing_ros.standalone.context import Context
        from avatar_forcing_ros.standalone.executors import SingleThreadedExecutor

        self.context = Context()
        self.context.init(args)
        self.executor = SingleThreadedExecutor(context=self.context)

    def node(self, name: str = "tested", cls: Any = None, **options: Any) -> Any:
        from avatar_forcing_ros.standalone.node import Node

        node = (cls or Node)(name, context=self.context, **options)
        self.executor.add_node(node)
        return node

    def until(self, done: Callable[[], Any]) -> Any:
        return wait_until(done, lambda: self.executor.spin_once(0.05))


@pytest.fixture
def ros() -> Iterator[Callable[..., Ros]]:
    """Makes contexts from command line words; all are left at the end."""
    made: list[Ros] = []

    def make(*args: str) -> Ros:
        made.append(Ros(list(args)))
        return made[-1]

    yield make
    for one in made:
        one.executor.shutdown()
        one.context.try_shutdown()


@pytest.fixture
def peer() -> Iterator[Callable[..., Any]]:
    """Starts peer.py in another process; it is ended with the test."""
    started: list[Any] = []

    def start(*words: str, environment: dict[str, str] | None = None, **variables: str) -> Any:
        paths = os.pathsep.join([str(ROOT), *sys.path])
        if environment is None:
            environment = os.environ | {"PYTHONPATH": paths}
        else:
            environment = environment | {"PYTHONPATH": f"{ROOT}:{environment['PYTHONPATH']}"}
        process = subprocess.Popen(
            [sys.executable, str(PEER), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | variables,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        process.communicate(timeout=PATIENCE_S)
