"""Asking for numbered pictures, in the test's own process and in peer.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FRAMES = 75


def view(
    node: Any, image: type[Any], text: type[Any], kept: Any, on_image: Callable[[Any], None]
) -> None:
    """Receives pictures, and asks for them, by the latched topic ``go``, once it can hear them.

    The classes of the messages and the QoS of ``go`` are given: ours or a real ROS's.
    """
    subscription = node.create_subscription(image, "image", on_image, 10)
    go = node.create_publisher(text, "go", kept)

    def ask() -> None:
        if subscription.get_publisher_count():
            go.publish(text())
            asking.cancel()

    asking = node.create_timer(0.02, ask)
