"""Protects the inputs of all nodes: any publisher is received, times are the best there are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from avatar_forcing_ros.msg import AvatarMotion
from builtin_interfaces.msg import Time
from graph import TwoNodes
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String

from avatar_forcing_ros.nodes import interface
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription, StampReader

BEST_EFFORT = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
NOW_NS = 1_700_000_000_000_000_000


class Graph(TwoNodes):
    """With a subscription that keeps what it got."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.got: list[Any] = []

    def subscribe(self, *messages: Any) -> MatchedSubscription:
        return MatchedSubscription(
            self.node, "user/image", messages, self.got.append,
            MutuallyExclusiveCallbackGroup(),
        )  # fmt: skip


@pytest.fixture
def graph() -> Iterator[Graph]:
    with contextlib.closing(Graph()) as made:
        yield made


def test_a_subscriber_that_asks_for_more_than_is_offered_is_reported(graph: Graph) -> None:
    graph.node.create_table_publisher("avatar/motion", AvatarMotion)
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


def test_a_user_who_overrides_the_reliability_has_decided() -> None:
    name = "qos_overrides./user/image.subscription.reliability"
    given = [Parameter(name, value="best_effort")]
    with contextlib.closing(Graph(parameter_overrides=given)) as graph:
        subscription = graph.subscribe(Image)
        camera = graph.other.create_publisher(Image, "user/image", 5)
        graph.until(lambda: graph.got, lambda: camera.publish(Image()))
        subscription.follow_publishers()
        assert subscription.is_best_effort


def test_a_change_that_comes_too_early_is_tried_again(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middleware refuses another type while an executor still holds the old subscription."""
    subscription = graph.subscribe(Image, CompressedImage)
    create, refused = graph.node.create_subscription, []

    def busy(*arguments: Any, **options: Any) -> Any:
        if not refused:
            refused.append(arguments[0])
            raise RuntimeError("existing topic name with incompatible type")
        return create(*arguments, **options)

    monkeypatch.setattr(graph.node, "create_subscription", busy)
    camera = graph.other.create_publisher(CompressedImage, "user/image", 5)
    graph.until(lambda: refused, subscription.follow_publishers)
    graph.until(lambda: graph.got, lambda: camera.publish(CompressedImage()))
    assert refused == [CompressedImage]
    assert isinstance(graph.got[0], CompressedImage)
    assert graph.errors.counts == {}


def test_the_message_that_is_published_is_subscribed_to(graph: Graph) -> None:
    graph.subscribe(Image, CompressedImage)
    camera = graph.other.create_publisher(CompressedImage, "user/image", 5)

    graph.until(lambda: graph.got, lambda: camera.publish(CompressedImage()))
    assert isinstance(graph.got[0], CompressedImage)


def test_a_message_of_another_type_is_reported(graph: Graph) -> None:
    graph.subscribe(Image)
    graph.other.create_publisher(CompressedImage, "user/image", 5)
    graph.until(lambda: graph.errors.counts)
    assert list(graph.errors.counts) == ["user/image type"]


def test_what_the_middleware_lost_is_counted_and_logged_with_a_remedy(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences: list[str] = []
    logger = SimpleNamespace(warning=sentences.append)
    monkeypatch.setattr(graph.node, "get_logger", lambda: logger)
    events: list[Any] = []
    make = interface.events.SubscriptionEventCallbacks

    def keep(**given: Any) -> Any:
        events.append(given["message_lost"])
        return make(**given)

    monkeypatch.setattr(interface.events, "SubscriptionEventCallbacks", keep)
    graph.subscribe(Image)
    for count in (1, 5):
        events[0](SimpleNamespace(total_count_change=count))
    assert graph.errors.counts == {"user/image lost": 6}
    (sentence,) = sentences  # once in a while
    assert "config/fastdds.xml" in sentence


class Reasons:
    """Stands in for a node with its ErrorCounter, at NOW_NS."""

    def __init__(self) -> None:
        self.errors = self
        self.counted: list[str] = []

    def now_ns(self) -> int:
        return NOW_NS

    def count(self, reason: str, sentence: str) -> None:
        self.counted.append(reason)


def reader(reasons: Reasons, tolerance_s: float = 2.0, **options: bool) -> StampReader:
    return StampReader(reasons, tolerance_s, **options)  # type: ignore[arg-type]


def image_of(stamp_ns: int) -> Image:
    sec, nanosec = divmod(stamp_ns, 10**9)
    return Image(header=Header(stamp=Time(sec=sec, nanosec=nanosec)))


def test_a_bag_on_a_busy_machine_keeps_its_stamps() -> None:
    """What is served late is not of another time; what is ahead of the clock still is."""
    read = reader(Reasons(), replay=True)
    for ahead_s, trusted in ((-30, True), (-61, False), (3, False)):
        assert read(image_of(NOW_NS + ahead_s * 10**9), "a").arrived != trusted


@pytest.mark.parametrize(
    ("off_ns", "time_ns", "arrived", "reasons"),
    [
        (0, NOW_NS, False, []),
        (-1_900_000_000, NOW_NS - 1_900_000_000, False, []),
        (-2_100_000_000, NOW_NS, True, ["a stamp_far"]),
        (2_100_000_000, NOW_NS, True, ["a stamp_far"]),
        (-NOW_NS, NOW_NS, True, ["a stamp_zero"]),
    ],
)
def test_a_stamp_that_cannot_be_gives_way_to_the_arrival(
    off_ns: int, time_ns: int, arrived: bool, reasons: list[str]
) -> None:
    counted = Reasons()
    assert reader(counted)(image_of(NOW_NS + off_ns), "a") == (time_ns, arrived)
    assert counted.counted == reasons


def test_a_message_without_a_header_is_of_its_arrival_and_no_error() -> None:
    counted = Reasons()
    assert reader(counted)(String(), "a") == (NOW_NS, True)
    assert counted.counted == []


def test_any_stamp_will_do_where_none_is_too_far_and_none_is_not_where_one_is_required() -> None:
    read = reader(Reasons(), float("inf"), required=True)
    assert read(image_of(5), "a") == (5, False)
    for without in (image_of(0), String()):
        with pytest.raises(BadMessage, match="expected a stamp") as raised:
            read(without, "a")
        assert raised.value.reason == "stamp_zero"
