"""The command line: remappings, parameters and their files, log levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import names
from avatar_forcing_ros.standalone.arguments import parse, remove_ros_args
from avatar_forcing_ros.standalone.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
    UnknownROSArgsError,
)

FILE = """
/**:
  ros__parameters:
    everywhere: 1
    rate: 1e1
avatar:
  ros__parameters:
    rate: 25.0
    camera: {width: 640, name: front}
/room/avatar:
  ros__parameters:
    names: [a, b]
/room:
  other:
    ros__parameters:
      awake: true
/*/avatar:
  ros__parameters:
    one_level: 1
/**/deep:
  ros__parameters:
    found: 1
"""


def test_words_for_ros_are_told_apart() -> None:
    words = ["prog", "-x", "--ros-args", "-r", "a:=b", "--", "y"]
    assert remove_ros_args(words) == ["prog", "-x", "y"]
    for bad in (["--what"], ["-r"], ["-r", "nothing"], ["-p", ":=1"]):
        with pytest.raises(UnknownROSArgsError):
            parse(["--ros-args", *bad])
    with pytest.raises(NotImplementedError, match="enclave"):
        parse(["--ros-args", "-e", "/"])


def test_names_are_remapped(ros: Any) -> None:
    here = ros(
        "--ros-args",
        *("-r", "__ns:=/room"),
        *("-r", "image:=camera/image"),
        *("-r", "/fixed:=moved"),
        *("-r", "~/reset:=restart"),
        *("-r", "other:sound:=noise"),
        *("-r", "renamed:sound:=music"),
        *("-r", "first:__node:=renamed"),
    )
    node = here.node("first")
    assert node.get_fully_qualified_name() == "/room/renamed"
    assert node.resolve_topic_name("image") == "/room/camera/image"
    assert node.resolve_topic_name("/room/image") == "/room/camera/image"
    assert node.resolve_topic_name("/image") == "/image"
    assert node.resolve_topic_name("/fixed") == "/room/moved"
    assert node.resolve_service_name("~/reset") == "/room/restart"
    assert node.resolve_topic_name("sound") == "/room/music"
    assert node.resolve_topic_name("sound", only_expand=True) == "/room/sound"
    assert here.node("second").resolve_topic_name("sound") == "/room/sound"
    alone = here.node("third", use_global_arguments=False, cli_args=["--ros-args", "-r", "a:=b"])
    assert alone.get_namespace() == "/"
    assert alone.resolve_topic_name("a") == "/b"


def test_relative_private_and_filled_names() -> None:
    assert names.expand("~", "n", "/ns") == "/ns/n"
    assert names.expand("~/a/b", "n", "/") == "/n/a/b"
    assert names.expand("{node}/x", "n", "/ns") == "/ns/n/x"
    assert names.expand("/{ns}/x", "n", "/a/b") == "/a/b/x"
    for bad in ("", "a b", "a//b", "a/", "1a", "/", "~a", "a-b"):
        with pytest.raises(InvalidTopicNameException):
            names.expand(bad, "n", "/")
    with pytest.raises(InvalidServiceNameException):
        names.expand("a b", "n", "/", service=True)
    with pytest.raises(InvalidNodeNameException):
        names.validate_node_name("a/b")
    with pytest.raises(InvalidNamespaceException):
        names.full_namespace("a b")


@pytest.mark.parametrize(
    ("full_name", "expected"),
    [
        (
            "/avatar",
            {"rate": 25.0, "everywhere": 1, "camera.width": 640, "camera.name": "front"},
        ),
        ("/room/avatar", {"rate": 10.0, "everywhere": 1, "names": ["a", "b"], "one_level": 1}),
        ("/room/other", {"rate": 10.0, "everywhere": 1, "awake": True}),
        ("/a/b/avatar", {"rate": 10.0, "everywhere": 1}),
        ("/a/b/deep", {"rate": 10.0, "everywhere": 1, "found": 1}),
        ("/deep", {"rate": 10.0, "everywhere": 1, "found": 1}),
    ],
)
def test_files_speak_to_nodes(tmp_path: Path, full_name: str, expected: dict[str, Any]) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(FILE)
    assert parse(["--ros-args", "--params-file", str(path)]).parameters_of(full_name) == expected


def test_what_comes_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(FILE)
    words = ["--params-file", str(path), "-p", "rate:=5", "-p", "other:rate:=6"]
    arguments = parse(["--ros-args", *words])
    assert arguments.parameters_of("/avatar")["rate"] == 5
    assert arguments.parameters_of("/room/other")["rate"] == 6


def test_a_node_reads_its_file(ros: Any, tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(FILE)
    node = ros("--ros-args", "--params-file", str(path)).node("avatar")
    assert node.declare_parameter("rate", 1.0).value == 25.0
    assert node.declare_parameter("camera.width", 320).value == 640


@pytest.mark.parametrize("text", ["[1, 2]", "a: 1", "a: {b: {c: 1}}\nd: 1", "{", "\x00"])
def test_broken_files_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        parse(["--ros-args", "--params-file", str(path)])
    with pytest.raises(ConfigError, match="missing"):
        parse(["--ros-args", "--params-file", str(tmp_path / "missing.yaml")])
