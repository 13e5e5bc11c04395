"""Ends of a topic that do not fit, and lost messages: told, and followed where possible."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from avatar_forcing_ros.msg import AvatarMotion
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.nodes import qos
from avatar_forcing_ros.nodes.diagnostics import ErrorCounter
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription

TURNS = 400  # of the executor, 50 ms at most
BEST_EFFORT = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Graph:
    """A node of ours and somebody else's, each a participant of its own."""

    def __init__(self) -> None:
        self.elsewhere = rclpy.Context()
        rclpy.init(args=[])
        rclpy.init(args=[], context=self.elsewhere)
        self.node = Node("ours")
        self.other = Node("theirs", context=self.elsewhere)
        self.errors, self.got = ErrorCounter(self.node), []
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def subscribe(self, *messages: Any) -> MatchedSubscription:
        return MatchedSubscription(
            self.node, "user/image", messages, self.got.append, self.errors,
            MutuallyExclusiveCallbackGroup(),
        )  # fmt: skip

    def until(self, done: Callable[[], Any], turn: Callable[[], Any] = lambda: None) -> None:
        for _ in range(TURNS):
            self.executor.spin_once(timeout_sec=0.05)
            if done():
                return
            turn()
        raise AssertionError("waited in vain")

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.other.destroy_node()
        rclpy.shutdown(context=self.elsewhere)
        rclpy.try_shutdown()


@pytest.fixture
def graph() -> Iterator[Graph]:
    with contextlib.closing(Graph()) as made:
        yield made


def test_a_subscriber_that_asks_for_more_than_is_offered_is_told(graph: Graph) -> None:
    qos.publisher(graph.node, "avatar/motion", AvatarMotion, graph.errors, managed=False)
    graph.other.create_subscription(AvatarMotion, "avatar/motion", lambda _: None, LATCHED)
    graph.until(lambda: graph.errors.counts)
    assert list(graph.errors.counts) == ["avatar/motion qos"]


def test_a_camera_of_either_reliability_is_followed(graph: Graph) -> None:
    subscription = graph.subscribe(Image)
    for profile in (BEST_EFFORT, QoSProfile(depth=5), BEST_EFFORT):
        camera = graph.other.create_publisher(Image, "user/image", profile)
        best_effort = profile is BEST_EFFORT
        graph.until(lambda wanted=best_effort: subscription.is_best_effort == wanted)
        graph.got.clear()
        graph.until(lambda: graph.got, lambda camera=camera: camera.publish(Image()))
        graph.other.destroy_publisher(camera)
    assert graph.errors.counts == {}


def test_the_message_that_is_published_is_subscribed_to(graph: Graph) -> None:
    subscription = graph.subscribe(Image, CompressedImage)
    camera = graph.other.create_publisher(CompressedImage, "user/image", 5)

    graph.until(lambda: graph.got, lambda: camera.publish(CompressedImage()))
    assert subscription.message_type == "sensor_msgs/msg/CompressedImage"


def test_a_message_that_cannot_be_read_is_told(graph: Graph) -> None:
    graph.subscribe(Image)
    graph.other.create_publisher(CompressedImage, "user/image", 5)
    graph.until(lambda: graph.errors.counts)
    assert list(graph.errors.counts) == ["user/image type"]


def test_what_the_middleware_lost_is_counted_and_told_with_a_remedy(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences: list[str] = []
    logger = SimpleNamespace(warning=sentences.append)
    monkeypatch.setattr(graph.node, "get_logger", lambda: logger)
    subscription = graph.subscribe(Image)
    for count in (1, 5):
        subscription._on_lost(SimpleNamespace(total_count_change=count))
    assert graph.errors.counts == {"user/image lost": 6}
    (sentence,) = sentences  # once in a while
    assert "config/fastdds.xml" in sentence
