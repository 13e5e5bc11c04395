"""What tests do on the graph: publish in the background, serve callbacks until something is so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import Executor
from rclpy.node import Node

TURNS = 400  # of an executor, 50 ms at most


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
