"""What tests do on the graph: publish in the background, serve callbacks until something is so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node

from avatar_forcing_ros.nodes.node_base import NodeBase

TURNS = 400  # of an executor, 50 ms at most
STOP_S = 60.0


class TwoNodes:
    """A node of ours and somebody else's, each a participant of its own.

    A participant of DDS has one type for each topic, and each context is one.
    """

    def __init__(self, **options: Any) -> None:
        self.elsewhere = rclpy.Context()
        rclpy.init(args=[])
        rclpy.init(args=[], context=self.elsewhere)
        self.node = NodeBase("ours", **options)
        self.other = Node("theirs", context=self.elsewhere)
        self.errors = self.node.errors
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def until(self, done: Callable[[], Any], turn: Callable[[], Any] = lambda: None) -> None:
        spin_until(self.executor, done, turn)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.other.destroy_node()
        rclpy.shutdown(context=self.elsewhere)
        rclpy.try_shutdown()


@contextmanager
def publishing(publish: dict[str, tuple[Any, Any]], period_s: float = 0.01) -> Iterator[Node]:
    """Publishes topic: (message, QoS) again and again until left."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = Node("publishing", context=context)
    publishers = [(node.create_publisher(type(m), t, q), m) for t, (m, q) in publish.items()]
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(period_s):
            for publisher, message in publishers:
                publisher.publish(message)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield node
    finally:
        ended.set()
        thread.join()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Serves the callbacks of a node in the background, until left; then ROS ends."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(STOP_S)
        node.destroy_node()
        rclpy.try_shutdown()


def spin_until(
    executor: Executor, done: Callable[[], Any], turn: Callable[[], Any] = lambda: None
) -> None:
    """Serve callbacks in this thread until `done`; `turn` is called in between."""
    for _ in range(TURNS):
        executor.spin_once(timeout_sec=0.05)
        if done():
            return
        turn()
    raise AssertionError("waited in vain")
