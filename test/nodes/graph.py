"""A node of the test itself, which publishes in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.node import Node


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
