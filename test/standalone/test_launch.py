"""Launch files without ROS: values and conditions, and processes that all come to an end."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import Program, completed, is_alive, wait_until, write_bag

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags.rosbag2")

from rosbags.rosbag2 import Reader

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import launch_modules
from avatar_forcing_ros.standalone.launch_conditions import (
    IfCondition,
    LaunchConfigurationEquals,
    UnlessCondition,
)
from avatar_forcing_ros.standalone.launch_context import LaunchContext
from avatar_forcing_ros.standalone.launch_nodes import ExecuteProcess, Node, ParameterValue
from avatar_forcing_ros.standalone.launch_programs import program_command
from avatar_forcing_ros.standalone.launch_substitutions import (
    EnvironmentVariable,
    EqualsSubstitution,
    FindPackageShare,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from avatar_forcing_ros.standalone.messages import message_class

HEAD = """
import sys
from launch import LaunchDescription
from launch.actions import *
from launch.conditions import *
from launch.event_handlers import *
from launch.substitutions import *

def python(code, **more):
    return ExecuteProcess(cmd=[sys.executable, "-c", code], **more)

def generate_launch_description():
    return LaunchDescription([
"""


@pytest.fixture
def context() -> LaunchContext:
    made = LaunchContext()
    made.launch_configurations |= {"camera": "usb_cam", "on": "true"}
    return made


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
    yield
    forget()


def launch_file(folder: Path, actions: str) -> Path:
    path = folder / "test.launch.py"
    path.write_text(f"{HEAD}{actions}\n    ])\n")
    return path


def test_substitutions_are_performed(context: LaunchContext) -> None:
    context.environment["PLACE"] = "robot"
    camera = LaunchConfiguration("camera")
    assert context.text(["a ", camera]) == "a usb_cam"
    assert context.text(PathJoinSubstitution(["/x", [camera, ".yaml"]])) == "/x/usb_cam.yaml"
    assert context.text(EqualsSubstitution(camera, "usb_cam")) == "true"
    assert context.text(PythonExpression(["'", camera, "' == 'none'"])) == "False"
    assert context.text(LaunchConfiguration("absent", default=1)) == "1"
    assert context.text(EnvironmentVariable("PLACE")) == "robot"
    share = Path(context.text(FindPackageShare("avatar_forcing_ros")))
    assert (share / "config" / "avatar.rviz").is_file()
    with pytest.raises(ConfigError, match="'absent'"):
        context.text(LaunchConfiguration("absent"))
    with pytest.raises(ConfigError, match="usb_cam"):
        context.text(FindPackageShare("usb_cam"))


def test_conditions_decide(context: LaunchContext) -> None:
    on = LaunchConfiguration("on")
    assert IfCondition(on).evaluate(context)
    assert not UnlessCondition(on).evaluate(context)
    assert LaunchConfigurationEquals("camera", "usb_cam").evaluate(context)
    assert not LaunchConfigurationEquals("absent", "usb_cam").evaluate(context)
    with pytest.raises(ValueError, match="perhaps"):
        IfCondition("perhaps").evaluate(context)


def test_a_node_gets_its_names_parameters_and_remappings(context: LaunchContext) -> None:
    context.launch_configurations["ros_namespace"] = "/robot"
    node = Node(
        package="avatar_forcing_ros",
        executable="avatar_node",
        name="face",
        namespace="head",
        parameters=[
            "/x/params.yaml",
            {"portrait": ParameterValue("1.0", value_type=str), "seed": LaunchConfiguration("on")},
            {"gain": {"pan": 0.5}, "names": ["a", "b"]},
        ],
        remappings=[("user/image", ["/", LaunchConfiguration("camera")])],
        ros_arguments=["--log-level", "debug"],
    )
    assert node.full_name(context) == "/robot/head/face"
    words = node.command(context)
    assert words[1:5] == ["-m", "avatar_forcing_ros.cli", "node", "avatar_node"]
    assert words[5:] == [
        *("--ros-args", "-r", "__node:=face", "-r", "__ns:=/robot/head"),
        *("--params-file", "/x/params.yaml", "-p", 'portrait:="1.0"', "-p", "seed:=true"),
        *("-p", "gain.pan:=0.5", "-p", 'names:=["a", "b"]'),
        *("-r", "user/image:=/usb_cam", "--log-level", "debug"),
    ]
    with pytest.raises(ConfigError, match="source ROS"):
        Node(package="usb_cam", executable="usb_cam_node_exe").command(context)


def test_programs_of_ros_are_ours_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert program_command(["ros2", "bag", "play", "x"])[2:] == [
        *("avatar_forcing_ros.cli", "bag", "play", "x")
    ]
    assert program_command(["avatar-forcing", "demo"])[2:] == ["avatar_forcing_ros.cli", "demo"]
    with pytest.raises(ConfigError, match="ros2 param list"):
        program_command(["ros2", "param", "list"])


@pytest.mark.usefixtures("ours")
def test_what_is_missing_is_named() -> None:
    actions = importlib.import_module("launch.actions")
    with pytest.raises(NotImplementedError, match=r"launch\.actions\.EmitEvent"):
        _ = actions.EmitEvent
    with pytest.raises(ImportError, match=r"launch_ros\.actions\.ComposableNodeContainer"):
        exec("from launch_ros.actions import ComposableNodeContainer")
    with pytest.raises(NotImplementedError, match=r"launch\.events"):
        importlib.import_module("launch.events")
    with pytest.raises(NotImplementedError, match="ExecuteProcess with respawn, shell"):
        ExecuteProcess(cmd=["true"], respawn=True, shell=True)


def test_actions_are_done_in_their_order_and_scope(tmp_path: Path) -> None:
    included = launch_file(tmp_path, "DeclareLaunchArgument('word'),"
                           " LogInfo(msg=['word ', LaunchConfiguration('word')])")  # fmt: skip
    included = included.rename(tmp_path / "included.py")
    path = launch_file(
        tmp_path,
        f"""
        DeclareLaunchArgument("name", default_value="a", choices=["a", "b"], description="Who."),
        SetEnvironmentVariable("GREETING", "hello"),
        GroupAction([SetLaunchConfiguration("name", "inner"), SetEnvironmentVariable("X", "1"),
                     LogInfo(msg=LaunchConfiguration("name"))]),
        LogInfo(msg=["outer ", LaunchConfiguration("name")]),
        IncludeLaunchDescription({str(included)!r}, launch_arguments=[("word", "given")]),
        python("import os; print(os.environ['GREETING'], 'X' in os.environ)", name="greeter"),
        python("print('never')", condition=IfCondition("false")),
        OpaqueFunction(function=lambda context: [
            TimerAction(period=0.05, actions=[LogInfo(msg="later")])]),
        """,
    )
    code, said = completed("launch", path, "name:=b")
    assert code == 0
    for wanted in ("[launch]: inner", "[launch]: outer b", "[launch]: word given",
                   "[greeter-1] hello False", "[launch]: later",
                   "[greeter-1]: process has finished cleanly"):  # fmt: skip
        assert wanted in said
    assert "never" not in said
    code, said = completed("launch", path, "name:=c")
    assert (code, "expected a or b, got 'c'" in said) == (1, True)
    code, said = completed("launch", path, "nam:=b")
    assert (code, "nearest: 'name'" in said) == (1, True)
    code, said = completed("launch", path, "-s")
    assert (code, "process started" in said) == (0, False)
    for line in ("    'name':", "        Who.", "        One of: a, b.", "        (default: 'a')"):
        assert line in said.splitlines()
    assert "'word'" not in said, "what is given already need not be given"


def test_the_end_of_a_process_leads_on(tmp_path: Path) -> None:
    path = launch_file(
        tmp_path,
        """
        *(lambda first: [
            RegisterEventHandler(OnProcessExit(target_action=first, on_exit=[
                python("print('second')", name="second", on_exit=Shutdown(reason="all is said"))
            ])),
            python("import time; time.sleep(1000)", name="sleeper"),
            first,
        ])(python("print('first')", name="first")),
        """,
    )
    code, said = completed("launch", path)
    assert code == 0
    assert said.index("[first-2] first") < said.index("[second-3] second")
    assert "ending 1 process(es): all is said" in said
    assert "[sleeper-1]: process has ended" in said


def test_a_failure_is_the_launchs_exit_code(tmp_path: Path) -> None:
    path = launch_file(tmp_path, "python('import sys; sys.exit(3)', name='bad')")
    code, said = completed("launch", path)
    assert (code, "[bad-1]: process has died, exit code 3" in said) == (1, True)
    broken = launch_file(
        tmp_path,
        "python('import time; time.sleep(1000)', name='sleeper'),"
        " ExecuteProcess(cmd=['no_such_program'])",
    )
    code, said = completed("launch", broken)
    assert (code, "program 'no_such_program'" in said) == (1, True)
    assert "[sleeper-1]: process has ended" in said


def test_ctrl_c_ends_even_what_refuses(tmp_path: Path) -> None:
    deaf = (
        "import signal, subprocess, sys, time\\n"
        "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\\n"
        "print('pids', child.pid, flush=True)\\n"
        "time.sleep(1000)"
    )
    polite = "import time\\nprint('waits', flush=True)\\ntime.sleep(1000)"
    path = launch_file(
        tmp_path,
        f'python("{deaf}", name="deaf", sigterm_timeout="0.2", sigkill_timeout=0.2),'
        f' python("{polite}", name="polite")',
    )
    with Program("launch", path) as launched:
        grandchild = int(launched.says("pids").split()[-1])
        started = int(launched.says("[deaf-1]: process started").rpartition("[")[2].rstrip("]"))
        launched.says("waits")
        launched.interrupt()
        assert launched.ends() == 0
        assert "deaf-1 does not end: sent SIGTERM" in launched.text
        assert "deaf-1 does not end: sent SIGKILL" in launched.text
        assert "polite-2 does not end" not in launched.text
    wait_until(lambda: not is_alive(grandchild) and not is_alive(started))


def test_replay_answers_a_recorded_conversation(tmp_path: Path) -> None:
    """The whole chain: node, states, bag, clock, recording, and the end of all of them."""
    cls: Any = message_class("audio_common_msgs/msg/AudioStamped")
    begin_ns, period_ns = 1_700_000_000 * 10**9, 40_000_000
    messages = []
    for k in range(25):
        sound = cls()
        sound.header.stamp.sec, sound.header.stamp.nanosec = divmod(
            begin_ns + k * period_ns, 10**9
        )
        sound.audio.info.format, sound.audio.info.rate, sound.audio.info.channels = 8, 16_000, 1
        sound.audio.audio_data.int16_data = [0] * 640
        for topic in ("/robot/avatar/audio", "/robot/user/audio"):
            messages.append((topic, begin_ns + k * period_ns, sound))
    write_bag(tmp_path / "talk", messages)
    code, said = completed(
        *("launch", "replay.launch.py", f"bag:={tmp_path / 'talk'}", "namespace:=robot"),
        *(f"output:={tmp_path / 'answer'}", "user_motion_source:=none", "linger_s:=1.0"),
    )
    assert code == 0, said
    assert "Played 50 messages" in said
    assert "ending 2 process(es): the bag has ended" in said
    with Reader(tmp_path / "answer") as bag:
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
    assert counts["/robot/avatar/motion"] > 0
    assert counts["/robot/avatar/audio_aligned"] > 0
