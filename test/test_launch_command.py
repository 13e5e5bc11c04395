"""``avatar-forcing launch``: one plan for it and the launch file, and processes that all end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from programs import Program, command, completed, is_alive, wait_until

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.cli.launch import command as node_command
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.launch_arguments import ARGUMENTS, argument_values
from avatar_forcing_ros.launch_plan import planned_nodes, require_installed
from avatar_forcing_ros.resources import shipped

# a node that prints its number
CHILD = """
import os, sys, time
print("pid", os.getpid(), flush=True)
{rest}
"""
# `launch avatar perception:=true`, with such children for the nodes
LAUNCH = """
import signal, sys
from avatar_forcing_ros.cli import launch, main
def command(node):
    rest = {avatar!r} if node.is_avatar else "time.sleep(1000)"
    return [sys.executable, "-c", {child!r}.format(rest=rest)]
launch.command = command
sys.exit(main(["launch", "avatar", "perception:=true"]))
"""


def test_the_defaults_start_the_avatar_alone() -> None:
    (avatar,) = planned_nodes({})
    assert avatar.is_avatar
    assert avatar.params_file == str(shipped("config/avatar.yaml"))
    assert avatar.parameters == {"autostart": True, "use_sim_time": False}
    assert avatar.remappings == ()


def test_arguments_become_parameters_and_remappings(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    mine = tmp_path / "mine.yaml"
    mine.touch()
    (avatar,) = planned_nodes(
        {
            "namespace": "robot1",
            "portrait": "2.0",
            "params_file": str(mine),
            "autostart": "false",
            "use_sim_time": "true",
            "user_image": "/camera/image",
            "visualization": "true",
            "log_level": "debug",
        }
    )
    words = node_command(avatar)
    assert words[:5] == [sys.executable, "-m", "avatar_forcing_ros.cli", "node", "avatar_node"]
    assert words[5:] == [
        *("--", "--ros-args", "-r", "__node:=avatar_node", "-r", "__ns:=/robot1"),
        *("-r", "user/image:=/camera/image"),
        *("-r", "user/image/compressed:=/camera/image/compressed"),
        *("--params-file", str(mine), "-p", 'portrait:="2.0"', "-p", "autostart:=false"),
        *("-p", "publish_tf:=true", "-p", "publish_markers:=true", "-p", "use_sim_time:=true"),
        *("--log-level", "debug"),
    ]


def test_perception_display_and_page_are_planned_when_asked() -> None:
    given = {"perception": "true", "display": "true", "image_transport": "compressed"}
    avatar, perception, display = planned_nodes(given)
    assert avatar.parameters["user_motion_source"] == "topic"
    assert perception.parameters == {"image_transport": "compressed", "use_sim_time": False}
    assert display.parameters == {"fullscreen": False, "speaker": True, "use_sim_time": False}
    assert not display.params_file
    kept, *_ = planned_nodes({**given, "user_motion_source": "camera"})
    assert kept.parameters["user_motion_source"] == "camera"
    _, page = planned_nodes(
        {"telepresence": "true", "telepresence_port": "8443", "robot_sound": "false"}
    )
    assert page.parameters == {"robot_sound": False, "port": 8443, "use_sim_time": False}


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda argument: argument.name)
def test_every_argument_has_an_effect_and_a_description(argument: object) -> None:
    assert argument.description.endswith(".")
    everything = {
        **{a.name: "true" for a in ARGUMENTS if "true" in a.choices},
        "camera": "usb_cam",
    }
    if argument.name == "avatars":  # beside which nothing else is started
        everything = {}
    before = planned_nodes(everything)
    others = [c for c in argument.choices if c != everything.get(argument.name, argument.default)]
    changed = others[-1] if argument.choices else "1234"
    if argument.name == "params_file":
        changed = __file__
    assert planned_nodes({**everything, argument.name: changed}) != before
    assert argument_values({})[argument.name] == argument.default


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["avatar", "camera:=usb_cam"], "ROS package 'usb_cam'"),
        (["avatar", "microphone:=audio_common"], "ROS package 'audio_common'"),
        (["avatar", "speaker:=audio_common"], "ROS package 'audio_common'"),
        (["avatar", "camera:=webcam"], "expected one of none, usb_cam, v4l2_camera, got 'webcam'"),
        (["avatar", "camra:=none"], "got camra"),
        (["avatar", "camera"], "expected name:=value, got camera"),
        (["avatar", "telepresence:=true", "telepresence_port:=x"], "expected a whole number"),
        (["avatar", "params_file:=/nowhere.yaml"], "got no file at /nowhere.yaml"),
        (["rviz"], "expected a sourced ROS workspace with this package"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if text.startswith("ROS package"):
        pytest.importorskip("rclpy")  # it is asked for first
    monkeypatch.setattr("shutil.which", lambda name: None)  # a ros2 would be asked instead
    assert main(["launch", *words]) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_ros_launch_is_used_where_it_would_find_this_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tmp_path / "lib" / "avatar_forcing_ros" / "avatar_node"
    built.parent.mkdir(parents=True)
    built.touch()
    called: list[list[str]] = []

    def execute(name: str, words: list[str]) -> None:
        called.append(words)
        raise SystemExit(0)

    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("os.execvp", execute)
    with pytest.raises(SystemExit):
        main(["launch", "replay", "bag:=x"])
    assert called == [["ros2", "launch", "avatar_forcing_ros", "replay.launch.py", "bag:=x"]]


def test_arguments_are_shown() -> None:
    code, text = completed("launch", "avatar", "--show-args")
    assert code == 0
    for argument in ARGUMENTS:
        assert f"{argument.name}  (default: {argument.default!r}" in text


def test_another_package_is_refused_by_its_node() -> None:
    (avatar,) = planned_nodes({})
    with pytest.raises(ConfigError, match="avatar_node of the ROS package 'other'"):
        node_command(replace(avatar, package="other"))


@contextmanager
def launched(avatar: str = "time.sleep(1000)") -> Iterator[tuple[Program, set[int]]]:
    """A launch with two children, and their numbers."""
    with Program("-c", LAUNCH.format(avatar=avatar, child=CHILD)) as program:
        lines = [program.writes(f"[{name}] pid") for name in ("avatar_node", "perception_node")]
        pids = {int(line.split()[-1]) for line in lines}
        assert len(pids) == 2
        yield program, pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_a_launch_ends_all_its_nodes(number: signal.Signals) -> None:
    with launched() as (program, pids):
        assert all(is_alive(pid) for pid in pids)
        program.signal(number)
        assert program.ends() == (-number if number == signal.SIGKILL else 0)
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


@pytest.mark.parametrize(("end", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_the_avatars_end_is_the_launchs_end(end: str, code: int, tmp_path: Path) -> None:
    go = tmp_path / "go"  # when the other child has begun, too
    waiting = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n{end}"
    with launched(waiting) as (program, pids):
        go.touch()
        assert program.ends() == code
        assert f"[avatar_node] ended with exit code {code if code == 3 else -9}" in program.text
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_the_nodes_themselves_end_with_the_launch() -> None:
    rclpy = pytest.importorskip("rclpy")
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    observer = rclpy.create_node("observer", context=context)
    wanted = {"avatar_node", "perception_node"}
    try:
        with command("launch", "avatar", "perception:=true", "autostart:=false") as program:
            wait_until(lambda: wanted <= set(observer.get_node_names()))
            program.signal(signal.SIGINT)
            assert program.ends() == 0
        assert "Traceback" not in program.text
    finally:
        observer.destroy_node()
        rclpy.try_shutdown(context=context)


def test_home_is_found_in_a_parameter_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").touch()
    (avatar,) = planned_nodes({"params_file": "~/mine.yaml"})
    assert avatar.params_file == str(tmp_path / "mine.yaml")


def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *executables: str) -> None:
    """As where a ROS with these, given as package/executable, is sourced."""
    for executable in executables:
        path = tmp_path / "lib" / executable
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "jazzy")


@pytest.mark.parametrize(
    ("argument", "package", "remedy"),
    [
        ("camera", "usb_cam", "install ros-jazzy-usb-cam"),
        ("microphone", "audio_capture", "install ros-jazzy-audio-capture"),
        ("speaker", "audio_common", "build it (github.com/mgonzs13/audio_common)"),
    ],
)
def test_a_missing_package_is_reported_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, package: str, remedy: str
) -> None:
    # ros-drivers, too, has a package audio_common, which holds nothing
    installed(tmp_path, monkeypatch, "audio_common/README.md")
    avatar, driver = planned_nodes({argument: package})
    require_installed([avatar])
    with pytest.raises(ConfigError) as error:
        require_installed([avatar, driver])
    assert package in error.value.expected
    assert remedy in error.value.remedy
    installed(tmp_path, monkeypatch, f"{package}/{driver.executable}")
    require_installed([avatar, driver])


@pytest.mark.parametrize(
    ("package", "topics", "sends_bytes"),
    [
        ("audio_capture", {"audio_stamped": "mic", "audio_info": "mic_info", "audio": "mic_data"},
         True),
        ("audio_common", {"audio": "mic"}, False),
    ],
)  # fmt: skip
def test_microphone_and_speaker_are_those_that_are_installed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    topics: dict[str, str],
    sends_bytes: bool,
) -> None:
    if sends_bytes:
        there = ["audio_capture/audio_capture_node", "audio_play/audio_play_node"]
    else:
        there = ["audio_common/audio_capturer_node", "audio_common/audio_player_node"]
    installed(tmp_path, monkeypatch, *there)
    given = {"microphone": "auto", "speaker": "auto", "user_audio": "mic"}
    avatar, microphone, speaker = planned_nodes(given)
    assert microphone.package == package
    assert dict(microphone.remappings) == topics
    assert dict(avatar.remappings) == {"user/audio": "mic", "user/audio_info": "mic_info"}
    assert avatar.parameters.get("publish_audio_data", False) == sends_bytes
    if sends_bytes:  # both would speak MP3
        assert microphone.parameters["format"] == speaker.parameters["format"] == "wave"
        assert dict(speaker.remappings) == {"audio": "avatar/audio_data"}
    else:
        assert dict(speaker.remappings) == {"audio": "avatar/audio_aligned"}


def test_where_no_audio_package_is_installed_auto_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="audio_capture or audio_common"):
        planned_nodes({"microphone": "auto"})
