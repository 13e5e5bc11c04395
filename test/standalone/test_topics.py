"""Messages get from one node to another, whole and in order."""

from __future__ import annotations

from typing import Any

import pytest
from pictures import FRAMES, view
from support import wait_until

from avatar_forcing_ros.standalone.messages import deserialize_message, message_class
from avatar_forcing_ros.standalone.qos import (
    DurabilityPolicy,
    QoSProfile,
    qos_profile_sensor_data,
)

String = message_class("std_msgs/msg/String")
Image = message_class("sensor_msgs/msg/Image")


def test_no_picture_is_lost_between_processes(ros: Any, peer: Any) -> None:
    here = ros()
    seen: list[str] = []

    def on_image(image: Any) -> None:
        assert len(image.data) == 512 * 512 * 3
        seen.append(image.header.frame_id)

    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    view(here.node(), Image, String, kept, on_image)
    peer("images")
    here.until(lambda: len(seen) == FRAMES)
    assert seen == [str(i) for i in range(FRAMES)]


def test_no_picture_is_lost_with_small_buffers(peer: Any) -> None:
    """A stock kernel lets a socket have 208 KB, a quarter of a picture."""
    small = "<Internal><SocketReceiveBufferSize max='208kB'/></Internal>"
    uri = f"<CycloneDDS><Domain>{small}</Domain></CycloneDDS>"
    viewer = peer("viewer", CYCLONEDDS_URI=uri)
    assert viewer.stdout.readline() == "ready\n"
    peer("images", CYCLONEDDS_URI=uri)
    assert [viewer.stdout.readline() for _ in range(FRAMES)] == [f"{i}\n" for i in range(FRAMES)]


def test_there_and_back_again(ros: Any, peer: Any) -> None:
    here = ros()
    node = here.node()
    heard: list[str] = []
    node.create_subscription(String, "echo", lambda m: heard.append(m.data), 10)
    publisher = node.create_publisher(String, "say", 10)
    peer("server")
    here.until(lambda: publisher.get_subscription_count() and node.count_publishers("echo"))
    for i in range(20):
        publisher.publish(String(data=f"ä {i}"))
        here.until(lambda i=i: len(heard) == i + 1)
    assert heard == [f"ä {i}" for i in range(20)]


def test_latecomers_get_what_is_kept(ros: Any) -> None:
    here = ros()
    node = here.node()
    keep = QoSProfile(depth=2, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = node.create_publisher(String, "kept", keep)
    for text in "abc":
        publisher.publish(String(data=text))
    late: list[str] = []
    node.create_subscription(String, "kept", lambda m: late.append(m.data), keep)
    here.until(lambda: len(late) == 2)
    assert late == ["b", "c"]


def test_a_reliable_reader_hears_no_best_effort_writer(ros: Any) -> None:
    here = ros()
    node = here.node()
    heard: list[str] = []
    refused: list[str] = []
    node.create_subscription(String, "soft", lambda m: refused.append(m.data), 10)
    node.create_subscription(
        String, "soft", lambda m: heard.append(m.data), qos_profile_sensor_data
    )
    publisher = node.create_publisher(String, "soft", qos_profile_sensor_data)
    here.until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data="x"))
    here.until(lambda: heard)
    assert refused == []


def test_raw_bytes_and_times(ros: Any) -> None:
    here = ros()
    node = here.node()
    raw: list[Any] = []
    timed: list[Any] = []
    node.create_subscription(String, "t", raw.append, 10, raw=True)
    node.create_subscription(String, "t", lambda m, info: timed.append((m, info)), 10)
    publisher = node.create_publisher(String, "t", 10)
    publisher.publish(String(data="x"))
    here.until(lambda: raw and timed)
    assert deserialize_message(raw[0], String) == String(data="x")
    assert timed[0][0].data == "x"
    assert timed[0][1]["source_timestamp"] > 0
    publisher.publish(raw[0])
    here.until(lambda: len(timed) == 2)


def test_another_type_is_refused(ros: Any) -> None:
    publisher = ros().node().create_publisher(String, "t", 10)
    with pytest.raises(TypeError, match="std_msgs/msg/String"):
        publisher.publish(Image())


def test_destroyed_endpoints_leave(ros: Any) -> None:
    here = ros()
    node = here.node()
    publisher = node.create_publisher(String, "t", 10)
    subscription = node.create_subscription(String, "t", lambda m: None, 10)
    wait_until(lambda: publisher.get_subscription_count() == 1)
    assert node.destroy_subscription(subscription)
    assert not node.destroy_subscription(subscription)
    wait_until(lambda: publisher.get_subscription_count() == 0)
    assert publisher.wait_for_all_acked()


def test_a_process_that_ends_is_gone(ros: Any, peer: Any) -> None:
    """A peer that dies leaves the graph and the match."""
    here = ros()
    publisher = here.node().create_publisher(String, "say", 10)
    other = peer("server")
    here.until(lambda: publisher.get_subscription_count() == 1)
    other.terminate()
    here.until(lambda: publisher.get_subscription_count() == 0)
    assert other.wait(15) == 0


def test_bytes_of_another_definition_are_dropped(
    ros: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    here = ros()
    node = here.node()
    heard: list[str] = []
    node.create_subscription(String, "t", lambda m: heard.append(m.data), 10)
    publisher = node.create_publisher(String, "t", 10)
    for broken in (b"\0\1\0\0", b"\0\1\0\0\xff\xff\xff\xffabc\0", b"\x07\7\0\0abcd"):
        publisher.publish(broken)
    publisher.publish(String(data="whole"))
    here.until(lambda: heard)
    assert heard == ["whole"]
    assert "no std_msgs/msg/String" in capfd.readouterr().err
