"""Protects the executables: whenever they are asked to end they do, with 0 and silently."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rclpy
from avatar_forcing_ros.msg import AvatarMotion
from graph import spinning
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from programs import Program
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Executable(Program):
    """A script of this package; what it imports is written by Python."""

    def __init__(self, name: str, *arguments: str, script: str | None = None) -> None:
        parts = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, parts))}
        command = [str(ROOT / "scripts" / (script or name)), *(["node", name] if script else [])]
        super().__init__(
            *("-X", "importtime", *command, "--ros-args", *arguments), env=environment
        )

    def until(self, moment: str) -> None:
        """Wait for a module to be imported, or for a piece of text."""

        def is_reached(line: str) -> bool:
            is_import = line.startswith("import time:")
            return line.endswith(f" {moment}") if is_import else moment in line

        self.writes_line(is_reached)

    @property
    def lines(self) -> list[str]:
        """Its own lines."""
        return [line for line in self.text.splitlines() if not line.startswith("import time:")]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def arguments_of(name: str) -> list[str]:
    return {
        "display_node": ["-p", "window:=false", "-p", "speaker:=false"],
        "telepresence_node": ["-p", f"port:={free_port()}"],
        "avatar_node": ["-p", "image_size_px:=128"],
        "speech_node": ["-p", "speech_command:=no-such-program"],
    }.get(name, [])


MOMENTS = [
    ("avatar_node", "rclpy.context", [TERM]),
    ("avatar_node", "torch._C", [INT]),  # in the midst of imports
    ("avatar_node", "torch._tensor", [INT, INT, INT]),
    ("avatar_node", "avatar_forcing_ros.runtime.worker", [TERM]),  # rclpy.init comes next
    ("avatar_node", "mediapipe", [TERM]),  # configuring
    ("avatar_node", "mediapipe.python", [INT, INT]),
    ("avatar_node", "ready: preset", [TERM, INT]),  # activating
    ("perception_node", "rclpy.node", [INT, INT]),
    ("perception_node", "avatar_forcing_ros.perception.user_motion", [INT]),
    ("perception_node", "mediapipe", [INT, INT, INT]),  # making the node
    ("display_node", "cv2", [TERM]),
    ("display_node", "avatar_forcing_ros.sync.playout", [INT, TERM]),
    ("display_node", "neither window nor speaker", [INT, INT]),
    ("telepresence_node", "rclpy", [HUP]),
    ("telepresence_node", "avatar_forcing_ros.nodes.graph_backend", [INT]),
    ("telepresence_node", "aiohttp", [TERM, TERM]),
    ("telepresence_node", "open http", [INT, INT, INT]),
    ("speech_node", "avatar_forcing_ros.runtime.utterances", [INT, INT]),
    ("speech_node", "no text can be spoken", [TERM, INT]),
]


@pytest.mark.parametrize(("name", "moment", "signals"), MOMENTS)
def test_a_signal_ends_a_node_at_any_moment(
    name: str, moment: str, signals: Sequence[signal.Signals]
) -> None:
    with Executable(name, *arguments_of(name)) as program:
        program.until(moment)
        program.signal(*signals)
        code = program.ends()
    assert (code, len(program.lines) <= 1) == (0, True), program.lines


def test_the_command_line_ends_like_the_executable() -> None:
    with Executable("perception_node", script="avatar-forcing") as program:
        program.until("rclpy")
        program.signal(INT, INT)
        assert (program.ends(), program.lines) == (0, [])


class Listener(Node):
    """Counts what comes and asks services."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.came = threading.Condition()
        self.count = 0
        self._clients_by_name: dict[str, Any] = {}

    def listen(self, kind: Any, topic: str) -> None:
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(kind, topic, self._take, qos)

    def wait_for(self, count: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: self.count >= count, PATIENCE_S)

    def ask(self, kind: Any, name: str, request: Any) -> Any:
        """The answer; a request that comes before the server knows the client is lost."""
        if name not in self._clients_by_name:
            self._clients_by_name[name] = self.create_client(kind, name)
        client = self._clients_by_name[name]
        assert client.wait_for_service(PATIENCE_S)
        for _ in range(6):
            done = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _, done=done: done.set())
            if done.wait(PATIENCE_S / 6):
                return future.result()
        raise AssertionError(f"no answer from {name}")

    def _take(self, msg: Any) -> None:
        with self.came:
            self.count += 1
            self.came.notify_all()


@pytest.fixture
def listener() -> Iterator[Listener]:
    rclpy.init()
    node = Listener()
    with spinning(node):
        yield node


def test_an_avatar_that_sends_images_ends_silently(listener: Listener) -> None:
    with Executable("avatar_node", *arguments_of("avatar_node")) as program:
        program.until("ready: preset")
        listener.listen(Image, "avatar/image_raw")
        listener.listen(AvatarMotion, "avatar/motion")
        listener.wait_for(20)
        program.signal(INT, INT)
        code = program.ends()
    # a report comes every second: the seed may be told or not
    lines = [line for line in program.lines if "drawn with seed" not in line]
    assert (code, len(lines)) == (0, 1), program.lines
    assert "ready: preset" in lines[0]


def test_transitions_that_are_not_allowed_are_answered(listener: Listener) -> None:
    arguments = ["-p", "autostart:=false", "-p", "image_size_px:=128"]
    with Executable("avatar_node", *arguments) as program:
        program.until("avatar_forcing_ros.runtime.worker")

        def change(**transition: Any) -> bool:
            request = ChangeState.Request(transition=Transition(**transition))
            return bool(listener.ask(ChangeState, "avatar_node/change_state", request).success)

        assert not change(id=Transition.TRANSITION_ACTIVATE)
        assert not change(id=99)
        assert not change(label="nonsense")
        assert not change(label="activate")
        answer = listener.ask(GetState, "avatar_node/get_state", GetState.Request())
        assert answer.current_state.label == "unconfigured"
        assert change(label="shutdown")
        assert not change(id=Transition.TRANSITION_CONFIGURE)
        program.signal(TERM)
        assert program.ends() == 0
    # Humble and Jazzy raise, which the node logs once in ten seconds; since Kilted rclpy logs each
    ours = [line for line in program.lines if "[avatar_node]" in line]
    assert 1 <= len(ours) <= 3, program.lines
    assert all("transition" in line for line in ours)
    assert "Traceback" not in program.text


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("perception_node", ["-r", "__ns:=bad name"], "a namespace: parts behind '/'"),
        ("perception_node", ["-r", "__ns:=robot"], "__ns:=robot"),
        ("perception_node", ["-r", "user/image:=9 x"], "got 'user/image:=9 x'"),
        ("perception_node", ["--params-file", "/nowhere.yaml"], "/nowhere.yaml"),
        ("perception_node", ["--nonsense"], "unknown arguments after --ros-args: ['--nonsense']"),
        ("display_node", ["-p", "delay_ms:=soon"], "delay_ms"),
        ("telepresence_node", ["-p", "port:=0"], "port out of range"),
        ("telepresence_node", ["-p", "port:=TAKEN"], "address 127.0.0.1"),
    ],
)
def test_what_the_user_can_correct_is_one_sentence(
    name: str, arguments: list[str], expected: str
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with Executable(name, *(text.replace("TAKEN", port) for text in arguments)) as program:
            assert program.ends() == 1
    lines = [
        line for line in program.lines if not line.startswith("[")
    ]  # rcl's own have a severity
    assert len(lines) == 1
    assert lines[0].startswith(f"{name}: ")
    assert expected in lines[0]


def test_a_package_that_is_missing_is_one_sentence() -> None:
    code = (
        "import sys; sys.modules['audio_common_msgs'] = None\n"
        "from avatar_forcing_ros.nodes.executable import run_executable\n"
        "sys.exit(run_executable('display_node', []))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("display_node: ROS 2: expected audio_common_msgs")
    assert len(done.stderr.splitlines()) == 1


def test_a_node_that_cannot_end_is_left_to_itself() -> None:
    code = """
import threading
from avatar_forcing_ros.nodes import node_main
from avatar_forcing_ros.nodes.node_base import NodeBase
class Stuck(NodeBase):
    def work(self, signals): pass
    def close(self): threading.Event().wait()
node_main.ENDING_TIMEOUT_S = 0.2
node_main.run_node("stuck", lambda: Stuck("stuck"), [])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("stuck: ended without waiting any longer for one of: MainThread")
