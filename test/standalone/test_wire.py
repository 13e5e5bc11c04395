"""Names, domains and configuration on the way to DDS."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support import ROOT

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import store, wire


def test_type_names_there_and_back() -> None:
    assert wire.dds_type_name("sensor_msgs/msg/Image") == "sensor_msgs::msg::dds_::Image_"
    assert wire.ros_type_name("std_srvs::srv::dds_::Trigger_Request_") == (
        "std_srvs/srv/Trigger_Request"
    )
    assert wire.ros_type_name("something::Else") is None


def test_the_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    assert wire.domain_id() == 0
    for bad in ("x", "-1", "233"):
        monkeypatch.setenv("ROS_DOMAIN_ID", bad)
        with pytest.raises(ConfigError, match="ROS_DOMAIN_ID"):
            wire.domain_id()


def test_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CYCLONEDDS_URI", raising=False)
    monkeypatch.setenv("ROS_STATIC_PEERS", "10.0.0.1;robot")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    local = wire.domain_config()
    assert "name='lo'" in local
    assert "address='localhost'" in local
    assert "<AllowMulticast>false" in local
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    subnet = wire.domain_config()
    assert "'lo'" not in subnet
    assert "address='robot'" in subnet
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "1")
    assert wire.domain_config() == local
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "0")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "EVERYWHERE")
    with pytest.raises(ConfigError, match="EVERYWHERE"):
        wire.domain_config()
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    monkeypatch.setenv("CYCLONEDDS_URI", "<CycloneDDS/>")
    assert wire.domain_config().endswith(",<CycloneDDS/>")


def test_a_domain_that_cannot_be_joined_is_explained() -> None:
    code = "from avatar_forcing_ros.standalone.context import Context; Context().init([])"
    broken = "<CycloneDDS><Domain><General><Interfaces><NetworkInterface name='none'/>"
    end = "</Interfaces></General></Domain></CycloneDDS>"
    environment = os.environ | {"CYCLONEDDS_URI": broken + end, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ConfigError: DDS domain" in done.stderr


def test_the_release_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DISTRO", "noetic")
    with pytest.raises(ConfigError, match="noetic"):
        store.distribution()
    monkeypatch.delenv("ROS_DISTRO")
    assert store.distribution() == "jazzy"
