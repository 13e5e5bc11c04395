"""The launch files that ship: what they start, by our launch and, where it is, by ROS's own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags.rosbag2")

from avatar_forcing_ros.cli.sourced import has_module
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import launch_modules
from avatar_forcing_ros.standalone.launch_context import LaunchContext
from avatar_forcing_ros.standalone.launch_events import (
    OnProcessExit,
    OnStateTransition,
    ProcessExited,
    StateTransition,
    react,
)
from avatar_forcing_ros.standalone.launch_file import declared, load

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
REQUIRED = {"bag": "/x/bag"}


class Recorded:
    """Stands where the launch service would, and starts nothing."""

    is_ending = False

    def __init__(self) -> None:
        self.handlers: list[Any] = []
        self.started: dict[str, list[str]] = {}
        self.actions: dict[str, Any] = {}
        self.watched: list[str] = []
        self.ended: list[str] = []
        self.context = LaunchContext()
        self.context.service = self

    def start(self, action: Any, name: str, command: list[str], *_: Any) -> None:
        self.started[name] = command
        self.actions[name] = action

    def watch_states(self, action: Any, node: str) -> None:
        self.watched.append(node)

    def call_later(self, delay_s: float, action: Any) -> None:
        action.visit(self.context)

    def shut_down(self, reason: str) -> None:
        self.ended.append(reason)

    def tell(self, event: Any) -> None:
        for handler in self.handlers:
            handler.handle(event, self.context)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Our modules under ROS's names, even where the real ones could be imported."""

    def forget() -> None:
        for name in [n for n in sys.modules if n.partition(".")[0] in ("launch", "launch_ros")]:
            monkeypatch.delitem(sys.modules, name)

    forget()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(launch_modules, "has_real_launch", lambda: False)
    assert launch_modules.install_launch()
    # ros2, where it is there, would be taken for itself
    monkeypatch.setattr("shutil.which", lambda name: None)
    yield
    forget()


def launched(name: str, **arguments: str) -> Recorded:
    recorded = Recorded()
    recorded.context.launch_configurations |= arguments
    load(ROOT / "launch" / f"{name}.launch.py").visit(recorded.context)
    return recorded


def after(words: list[str], flag: str) -> list[str]:
    return [word for before, word in pairwise(words) if before == flag]


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_described_and_has_a_default(path: Path) -> None:
    for argument in declared(load(path)):
        assert argument.description.endswith(".")
        assert argument.default_value is not None or argument.name in REQUIRED


@pytest.mark.usefixtures("ours")
def test_the_avatar_alone_is_as_its_defaults() -> None:
    recorded = launched("avatar")
    assert list(recorded.started) == ["avatar_node"]
    words = recorded.started["avatar_node"]
    assert after(words, "-r") == ["__node:=avatar_node", "__ns:=/"]
    assert after(words, "--params-file") == [str(ROOT / "config" / "avatar.yaml")]
    assert after(words, "-p") == ["autostart:=true", "use_sim_time:=false"]
    assert after(words, "--log-level") == ["info"]
    assert recorded.watched == ["/avatar_node"]


@pytest.mark.usefixtures("ours")
def test_everything_ends_with_the_avatar_but_is_told_so_once() -> None:
    recorded = launched("avatar", display="true")
    avatar = recorded.actions["avatar_node"]
    event = ProcessExited(avatar, "avatar_node-1", 1, 1)
    react(avatar.on_exit, event, recorded.context)
    assert recorded.ended == ["avatar_node has ended"]
    recorded.is_ending = True
    react(avatar.on_exit, event, recorded.context)
    assert recorded.ended == ["avatar_node has ended"]


@pytest.mark.usefixtures("ours")
def test_arguments_become_parameters_and_remappings() -> None:
    recorded = launched(
        "avatar",
        namespace="robot1",
        portrait="2.0",
        preset="paper",
        params_file="/x/mine.yaml",
        autostart="false",
        use_sim_time="true",
        user_image="/camera/image",
        visualization="true",
    )
    words = recorded.started["avatar_node"]
    assert after(words, "--params-file") == ["/x/mine.yaml"]
    assert words.index("--params-file") < words.index("-p"), "arguments win over the file"
    assert after(words, "-p") == [
        *('portrait:="2.0"', 'preset:="paper"', "autostart:=false"),
        *("publish_tf:=true", "publish_markers:=true", "use_sim_time:=true"),
    ]
    assert after(words, "-r")[1:] == [
        "__ns:=/robot1",
        "user/image:=/camera/image",
        "user/image/compressed:=/camera/image/compressed",
    ]
    assert recorded.watched == ["/robot1/avatar_node"]


@pytest.mark.usefixtures("ours")
def test_perception_and_display_are_started_when_asked() -> None:
    recorded = launched("avatar", perception="true", display="true", image_transport="compressed")
    assert list(recorded.started) == ["avatar_node", "perception_node", "display_node"]
    avatar, perception, display = (after(w, "-p") for w in recorded.started.values())
    assert {'image_transport:="compressed"', 'user_motion_source:="topic"'} <= set(avatar)
    assert perception == ['image_transport:="compressed"', "use_sim_time:=false"]
    assert display == ["fullscreen:=false", "speaker:=true", "use_sim_time:=false"]
    kept = launched("avatar", perception="true", user_motion_source="camera")
    assert 'user_motion_source:="camera"' in after(kept.started["avatar_node"], "-p")
    assert "--params-file" not in recorded.started["display_node"]
    shared = launched("avatar", display="true", params_file="/x/mine.yaml")
    assert after(shared.started["display_node"], "--params-file") == ["/x/mine.yaml"]
    quiet = launched("avatar", display="true", speaker="none")
    assert "speaker:=false" in after(quiet.started["display_node"], "-p")


@pytest.mark.usefixtures("ours")
def test_the_page_is_served_when_asked() -> None:
    bare = launched("avatar", telepresence="true").started["telepresence_node"]
    assert after(bare, "-p") == ["use_sim_time:=false"]
    words = launched(
        "avatar",
        telepresence="true",
        telepresence_host="0.0.0.0",
        telepresence_port="8443",
        telepresence_token_file="/x/token",
        robot_view="true",
        robot_sound="false",
        user_image="/camera/image",
        image_transport="compressed",
    ).started["telepresence_node"]
    assert after(words, "-p") == [
        *('host:="0.0.0.0"', 'token_file:="/x/token"', 'user_image_transport:="compressed"'),
        *("robot_view:=true", "robot_sound:=false", "port:=8443", "use_sim_time:=false"),
    ]
    assert "user/image:=/camera/image" in after(words, "-r")


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        ({"camera": "usb_cam"}, "usb_cam"),
        ({"camera": "v4l2_camera"}, "v4l2_camera"),
        ({"microphone": "audio_common"}, "audio_common"),
        ({"speaker": "audio_common"}, "audio_common"),
    ],
)
def test_other_packages_need_ros(arguments: Mapping[str, str], package: str) -> None:
    with pytest.raises(ConfigError, match=f"ROS package '{package}'"):
        launched("avatar", **arguments)
    with pytest.raises(ConfigError, match="ROS package 'rviz2'"):
        launched("rviz")


@pytest.mark.usefixtures("ours")
def test_the_demo_is_the_command_of_that_name() -> None:
    words = launched("demo", output_dir="/x/out").started["avatar_demo"]
    assert words[1:5] == ["-m", "avatar_forcing_ros.cli", "demo", "--output-dir=/x/out"]


@pytest.mark.usefixtures("ours")
def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected none or usb_cam or v4l2_camera, got 'webcam'"):
        launched("avatar", camera="webcam")


@pytest.mark.usefixtures("ours")
def test_a_replay_begins_with_the_active_avatar_and_ends_with_the_bag() -> None:
    recorded = launched(
        "replay", bag="/x/bag", output="/x/out", namespace="robot1", bag_options="--rate 0.5",
        user_audio="/microphone",
    )  # fmt: skip
    assert list(recorded.started) == ["bag_record", "avatar_node"]
    assert "use_sim_time:=true" in recorded.started["avatar_node"]
    assert "/robot1/avatar/motion" in recorded.started["bag_record"]
    assert [type(h) for h in recorded.handlers] == [OnStateTransition, OnProcessExit]
    avatar = recorded.actions["avatar_node"]
    recorded.tell(StateTransition(avatar, "unconfigured", "inactive"))
    assert "bag_play" not in recorded.started
    recorded.tell(StateTransition(avatar, "activating", "active"))
    play = recorded.started.pop("bag_play")
    assert play[2:6] == ["avatar_forcing_ros.cli", "bag", "play", "/x/bag"]
    assert after(play, "--rate") == ["0.5"]
    assert play[play.index("--topics") + 1 :] == [
        *("/robot1/user/image", "/robot1/user/image/compressed", "/robot1/user/motion"),
        *("/microphone", "/robot1/avatar/audio"),
    ]
    recorded.tell(StateTransition(avatar, "activating", "active"))
    assert "bag_play" not in recorded.started, "a second activation plays nothing"
    recorded.tell(ProcessExited(recorded.actions["bag_play"], "bag_play", 1, 0))
    assert recorded.ended == ["the bag has ended"]


def test_rviz_shows_what_the_node_publishes() -> None:
    content = yaml.safe_load((ROOT / "config" / "avatar.rviz").read_text())
    manager = content["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "avatar_base"
    topics = {d["Topic"]["Value"] for d in manager["Displays"] if "Topic" in d}
    assert topics == {"/avatar/image_raw", "/avatar/markers"}
    assert "rviz_default_plugins/TF" in {d["Class"] for d in manager["Displays"]}


@pytest.mark.skipif(not has_module("launch_ros"), reason="ROS is not sourced")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ros_reads_the_same_arguments(path: Path) -> None:
    spec = importlib.util.spec_from_file_location("a_launch_file", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # an included file is found only where the package is installed, so that is left out here
    entities = [
        entity
        for entity in module.generate_launch_description().entities
        if type(entity).__name__ == "DeclareLaunchArgument"
    ]
    assert entities
    for argument in entities:
        assert argument.description.endswith((".", "]"))
