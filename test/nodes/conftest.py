"""Fixtures that several nodes' tests share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from avatar_robot import PATIENCE_S, SMALL, Robot, Set
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter

from avatar_forcing_ros.nodes import avatar_node
from avatar_forcing_ros.nodes.avatar_node import AvatarNode
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.runtime.session import Session


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A replay, which takes a minute, comes first: of two workers each begins with one half."""
    first = next((item for item in items if item.path.name == "test_replay.py"), None)
    items.sort(key=lambda item: item is not first)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that nodes have built, which they keep to themselves."""
    built: list[Session] = []

    def build(*arguments: Any, **options: Any) -> Session:
        built.append(build_session(*arguments, **options))
        return built[-1]

    monkeypatch.setattr(avatar_node, "build_session", build)
    return built


@pytest.fixture(scope="module")
def robot() -> Iterator[Robot]:
    rclpy.init()
    node = Robot()
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    node.executor_of_tests = executor  # type: ignore[attr-defined]
    yield node
    executor.shutdown()
    thread.join(PATIENCE_S)
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def avatar(robot: Robot) -> Iterator[Set]:
    made: list[AvatarNode] = []
    executors: list[MultiThreadedExecutor] = []

    def make(**parameters: Any) -> AvatarNode:
        given = {**SMALL, **parameters}
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        node = AvatarNode(parameter_overrides=overrides)
        executor = MultiThreadedExecutor(num_threads=3)
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        made.append(node)
        executors.append(executor)
        return node

    yield make
    for node, executor in zip(made, executors, strict=True):
        node.deactivate()
        node.cleanup()
        executor.shutdown()
        node.destroy_node()
