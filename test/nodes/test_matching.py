"""Ends of a topic that do not fit, and lost messages: told, and followed where possible."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from avatar_forcing_ros.msg import AvatarMotion
from graph import spin_until
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.nodes import qos
from avatar_forcing_ros.nodes.diagnostics import ErrorCounter
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription

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
        spin_until(self.executor, done, turn)

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


def test_a_user_who_overrides_the_reliability_has_decided(graph: Graph) -> None:
    name = "qos_overrides./user/image.subscription.reliability"
    graph.node.destroy_node()
    graph.node = Node("ours", parameter_overrides=[Parameter(name, value="best_effort")])
    graph.executor.add_node(graph.node)
    subscription = graph.subscribe(Image)
    camera = graph.other.create_publisher(Image, "user/image", 5)
    graph.until(lambda: graph.got, lambda: camera.publish(Image()))
    subscription.follow_publishers()
    assert subscription.is_best_effort


def test_the_message_that_is_published_is_subscribed_to(graph: Graph) -> None:
    graph.subscribe(Image, CompressedImage)
    camera = graph.other.create_publisher(CompressedImage, "user/image", 5)

    graph.until(lambda: graph.got, lambda: camera.publish(CompressedImage()))
    assert isinstance(graph.got[0], CompressedImage)


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
