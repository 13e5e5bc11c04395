"""QoS profiles, and overrides by parameters."""

from __future__ import annotations

from typing import Any

import pytest

from avatar_forcing_ros.standalone.exceptions import InvalidQosOverridesError
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    InvalidQoSProfileException,
    LivelinessPolicy,
    QoSPolicyKind,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
    from_dds,
    profile_of,
    to_dds,
)
from avatar_forcing_ros.standalone.qos_overriding_options import QoSOverridingOptions
from avatar_forcing_ros.standalone.time import Duration

String = message_class("std_msgs/msg/String")


def test_a_profile_says_how_much_is_kept() -> None:
    assert QoSProfile(depth=3).history == HistoryPolicy.KEEP_LAST
    for wrong in ({}, {"history": HistoryPolicy.KEEP_LAST}):
        with pytest.raises(InvalidQoSProfileException):
            QoSProfile(**wrong)
    with pytest.raises(TypeError, match="dept"):
        QoSProfile(dept=3)
    with pytest.raises(ValueError, match="depth"):
        QoSProfile(depth=-1)
    assert profile_of(7).depth == 7
    assert QoSPresetProfiles.get_from_short_key("sensor_data").depth == 5
    assert ReliabilityPolicy.get_from_short_key("best_effort") == ReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize("writer", [True, False])
@pytest.mark.parametrize(
    "profile",
    [
        QoSProfile(depth=4),
        QoSProfile(history=HistoryPolicy.KEEP_ALL),
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
        QoSProfile(
            depth=1,
            deadline=Duration(seconds=1),
            lifespan=Duration(seconds=2),
            liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
            liveliness_lease_duration=Duration(seconds=3),
        ),
    ],
)
def test_policies_survive_dds(profile: QoSProfile, writer: bool) -> None:
    again = from_dds(to_dds(profile, b"x", writer=writer))
    for name in ("history", "depth", "reliability", "durability"):
        assert getattr(again, name) == getattr(profile, name)
    if profile.deadline.nanoseconds:
        assert again.deadline == profile.deadline
        assert again.liveliness == profile.liveliness
        assert again.liveliness_lease_duration == profile.liveliness_lease_duration
        assert (again.lifespan == profile.lifespan) is writer


def test_what_is_missing_is_named() -> None:
    profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_AVAILABLE)
    with pytest.raises(NotImplementedError, match="BEST_AVAILABLE"):
        to_dds(profile, b"", writer=True)


def overridden(ros: Any, *words: str, **options: Any) -> Any:
    node = ros("--ros-args", *words).node()
    kinds = [
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.LIFESPAN,
        QoSPolicyKind.DEADLINE,
    ]
    given = QoSOverridingOptions(kinds, **options)
    publisher = node.create_publisher(String, "t", 10, qos_overriding_options=given)
    subscription = node.create_subscription(
        String, "t", lambda m: None, 10, qos_overriding_options=given
    )
    return node, publisher, subscription


def test_parameters_override(ros: Any) -> None:
    node, publisher, subscription = overridden(
        ros,
        "-p",
        "qos_overrides./t.publisher.reliability:=best_effort",
        "-p",
        "qos_overrides./t.publisher.deadline:=1000000000",
        "-p",
        "qos_overrides./t.subscription.depth:=3",
    )
    assert publisher.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert publisher.qos_profile.deadline == Duration(seconds=1)
    assert publisher.qos_profile.depth == 10
    assert subscription.qos_profile.depth == 3
    assert subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert node.get_parameter("qos_overrides./t.publisher.history").value == "keep_last"
    assert node.describe_parameter("qos_overrides./t.publisher.depth").read_only
    assert not node.has_parameter("qos_overrides./t.subscription.lifespan")
    info = node.get_publishers_info_by_topic("t")[0]
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_an_id_tells_two_publishers_apart(ros: Any) -> None:
    word = "qos_overrides./t.publisher_big.depth:=7"
    _, publisher, _ = overridden(ros, "-p", word, entity_id="big")
    assert publisher.qos_profile.depth == 7


def test_overrides_can_be_refused(ros: Any) -> None:
    with pytest.raises(InvalidQosOverridesError, match="sometimes"):
        overridden(ros, "-p", "qos_overrides./t.publisher.reliability:=sometimes")
    result = message_class("rcl_interfaces/msg/SetParametersResult")
    with pytest.raises(InvalidQosOverridesError, match="too deep"):
        overridden(ros, callback=lambda qos: result(successful=False, reason="too deep"))
