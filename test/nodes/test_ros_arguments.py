"""Protects against mistakes in ROS arguments: reported, with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.node import Node

from avatar_forcing_ros.node_config import PerceptionNodeConfig
from avatar_forcing_ros.nodes.parameters import declare
from avatar_forcing_ros.nodes.ros_arguments import (
    argument_error,
    matches,
    node_patterns,
    warn_of_unknown,
)
from avatar_forcing_ros.resources import shipped

Start = Callable[..., list[str]]


class Logger:
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """The warnings of a node that is started with these arguments."""
    nodes: list[Any] = []
    context = rclpy.Context()

    def begin(*args: str, name: str = "perception_node") -> list[str]:
        context.init(["program", "--ros-args", *args])
        node = Node(name, context=context)
        nodes.append(node)
        declare(node, PerceptionNodeConfig)
        logger = Logger()
        monkeypatch.setattr(node, "get_logger", lambda: logger)
        warn_of_unknown(node, args)
        return logger.warnings

    yield begin
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def test_a_name_that_no_node_has_is_reported_with_the_nearest(start: Start) -> None:
    (warning,) = start("-p", "portait:=x", "-p", "fraem_id:=x", "-p", "zzz:=1")
    assert "'portait' (nearest: 'portrait')" in warning
    assert "'fraem_id' (nearest: 'frame_id')" in warning
    assert "'zzz';" not in warning
    assert warning.endswith("'zzz'")


def test_names_of_this_package_and_of_ros_are_no_mistake(start: Start) -> None:
    """One file serves all nodes, and a topic's qualities are declared with the topic."""
    assert start(
        "--params-file", str(shipped("config/avatar.yaml")), "-p", "use_sim_time:=true",
        "-p", "window:=false", "-p", "qos_overrides./user/image.subscription.depth:=3",
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("key", "ns"),
    [
        ("perception_nod", "/"),
        ("/robot/perception_node", "/"),
        ("perception_node", "/robot"),  # is of the root namespace alone
        ("/*", "/robot"),
    ],
)
def test_a_file_for_another_node_is_reported(
    start: Start, tmp_path: Path, key: str, ns: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"{key}:\n  ros__parameters:\n    frame_id: head\n")
    (warning,) = start("--params-file", str(file), "-r", f"__ns:={ns}")
    assert str(file) in warning
    assert key in warning
    assert f"'{ns.rstrip('/')}/perception_node'" in warning


@pytest.mark.parametrize(
    "key", ["/**", "/**/perception_node", "/robot/*", "/robot/perception_node", "robot/*"]
)
def test_a_file_for_this_node_is_taken_as_ros_takes_it(
    start: Start, tmp_path: Path, key: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"{key}:\n  ros__parameters:\n    fraem_id: head\n")
    (warning,) = start("--params-file", str(file), "-r", "__ns:=/robot")
    assert "fraem_id" in warning  # so ROS gave it to the node
    assert str(file) not in warning


def test_nested_keys_are_namespaces(tmp_path: Path) -> None:
    file = tmp_path / "nested.yaml"
    file.write_text("robot:\n  head:\n    a_node:\n      ros__parameters: {x: 1}\n/**: {}\n")
    assert list(node_patterns(file)) == ["/robot/head/a_node"]
    assert list(node_patterns(tmp_path / "none.yaml")) == []
    file.write_text("- 1\n")
    assert list(node_patterns(file)) == []


def test_wildcards_are_those_of_ros() -> None:
    assert matches("/**", "/a/b/c")
    assert matches("/**/c", "/c")
    assert matches("/a/**/c", "/a/c")
    assert not matches("/*", "/a/b")
    assert not matches("/a.b", "/aXb")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("-r", "__ns:=/a-b"), "a namespace: parts behind '/'"),
        (("-r", "__ns:=a-b"), "a namespace: parts behind '/'"),
        (("-r", "__node:=a-b"), "a name of letters"),
        (("-r", "user/audio:=a-b"), "'old_name:=new_name'"),
        (("-p", "portrait"), "'name:=value'"),
        (("--log-level", "loud"), "debug, info"),
        (("--params-file", "/nowhere/x.yaml"), "Error opening YAML file"),
    ],
)
def test_an_argument_that_ros_refuses_is_a_sentence(args: tuple[str, str], expected: str) -> None:
    context = rclpy.Context()
    with pytest.raises(RuntimeError) as raised:
        context.init(["program", "--ros-args", *args])
    error = str(argument_error(raised.value))
    assert expected in error
    assert f"'{args[1]}'" in error
    assert "/rcl/" not in error
    assert "\n" not in error


def test_other_errors_are_none_of_arguments() -> None:
    assert argument_error(RuntimeError("out of memory")) is None
