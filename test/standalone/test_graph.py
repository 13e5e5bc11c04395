"""Who sees whom."""

from __future__ import annotations

from typing import Any

import pytest

from avatar_forcing_ros.standalone.graph import TopicEndpointTypeEnum
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.node_graph import NodeNameNonExistentError
from avatar_forcing_ros.standalone.qos import qos_profile_sensor_data
from avatar_forcing_ros.standalone.store import distribution

String = message_class("std_msgs/msg/String")


def test_another_process_is_seen_and_then_gone(ros: Any, peer: Any) -> None:
    here = ros()
    node = here.node()
    other = peer("server", "--ros-args", "-r", "__ns:=/room")
    here.until(lambda: "/room/peer" in node.get_fully_qualified_node_names())
    here.until(lambda: ("/room/echo", ["std_msgs/msg/String"]) in node.get_topic_names_and_types())
    assert ("peer", "/room") in node.get_node_names_and_namespaces()
    assert ("/room/peer/where", ["std_srvs/srv/Trigger"]) in node.get_service_names_and_types()
    publishes = dict(node.get_publisher_names_and_types_by_node("peer", "/room"))
    assert publishes["/room/echo"] == ["std_msgs/msg/String"]
    hears = dict(node.get_subscriber_names_and_types_by_node("peer", "/room"))
    assert set(hears) == {"/room/say"}
    serves = dict(node.get_service_names_and_types_by_node("peer", "/room"))
    assert "/room/peer/where" in serves
    assert len(serves) == 7
    assert node.get_client_names_and_types_by_node("peer", "/room") == []
    info = node.get_publishers_info_by_topic("/room/echo")[0]
    assert (info.node_name, info.node_namespace) == ("peer", "/room")
    assert info.endpoint_type == TopicEndpointTypeEnum.PUBLISHER
    assert info.topic_type_hash.startswith("RIHS01_df668c")
    assert len(info.endpoint_gid) == (24 if distribution() == "humble" else 16)
    other.terminate()
    here.until(lambda: "/room/peer" not in node.get_fully_qualified_node_names())


def test_nodes_of_one_process(ros: Any) -> None:
    here = ros()
    one, two = here.node("one"), here.node("two", namespace="ns")
    two.create_publisher(String, "t", 10)
    two.create_subscription(String, "/ns/t", lambda m: None, qos_profile_sensor_data)
    here.until(lambda: one.count_publishers("/ns/t") == 1)
    here.until(lambda: one.count_subscribers("/ns/t") == 1)
    assert one.get_subscriptions_info_by_topic("/ns/t")[0].node_name == "two"
    assert one.wait_for_node("/ns/two", 5.0)
    assert not one.wait_for_node("/nobody", 0.05)
    with pytest.raises(NodeNameNonExistentError, match="nobody"):
        one.get_publisher_names_and_types_by_node("nobody", "/")
    two.destroy_node()
    here.until(lambda: one.get_node_names() == ["one"])
    here.until(lambda: one.count_publishers("/ns/t") == 0)


def test_raw_names(ros: Any) -> None:
    here = ros()
    node = here.node()
    here.until(
        lambda: (
            ("rt/rosout", ["rcl_interfaces::msg::dds_::Log_"])
            in node.get_topic_names_and_types(no_demangle=True)
        )
    )
