"""The executables on real ROS: whenever they are told to end they do, with 0 and without noise."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
from avatar_forcing_ros.msg import AvatarMotion
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Program:
    """An executable whose lines are read as they come; what it imports is told by Python."""

    def __init__(self, name: str, *arguments: str, script: str | None = None) -> None:
        parts = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, parts))}
        command = [str(ROOT / "scripts" / (script or name)), *(["node", name] if script else [])]
        self._process = subprocess.Popen(
            [sys.executable, "-X", "importtime", *command, "--ros-args", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self._watchdog = threading.Timer(PATIENCE_S, self._process.kill)
        self._watchdog.start()
        self.said: list[str] = []
        self._imported: set[str] = set()
        self._ended = False
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read)  # a full pipe would stop the program
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._came:
                if line.startswith("import time:"):
                    self._imported.add(line.rpartition("|")[2].strip())
                else:
                    self.said.append(line)
                self._came.notify()
        with self._came:
            self._ended = True
            self._came.notify()

    def until(self, moment: str) -> None:
        """Wait for a module to be imported, or for a piece of text."""

        def reached() -> bool:
            return moment in self._imported or any(moment in line for line in self.said)

        with self._came:
            self._came.wait_for(lambda: reached() or self._ended)
            assert reached(), "".join(self.said)

    def send(self, *signals: signal.Signals) -> None:
        for number in signals:
            self._process.send_signal(number)

    def end(self) -> int:
        """Read the rest; the exit code."""
        self._reader.join()
        code = self._process.wait()
        self._watchdog.cancel()
        return code


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def arguments_of(name: str) -> list[str]:
    return {
        "display_node": ["-p", "window:=false", "-p", "speaker:=false"],
        "telepresence_node": ["-p", f"port:={free_port()}"],
        "avatar_node": ["-p", "image_size_px:=128"],
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
]


@pytest.mark.parametrize(("name", "moment", "signals"), MOMENTS)
def test_a_signal_ends_a_node_at_any_moment(
    name: str, moment: str, signals: Sequence[signal.Signals]
) -> None:
    program = Program(name, *arguments_of(name))
    program.until(moment)
    program.send(*signals)
    code = program.end()
    assert (code, len(program.said) <= 1) == (0, True), "".join(program.said)


def test_the_command_line_ends_like_the_executable() -> None:
    program = Program("perception_node", script="avatar-forcing")
    program.until("rclpy")
    program.send(INT, INT)
    assert (program.end(), program.said) == (0, [])


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


@contextmanager
def listening() -> Iterator[Listener]:
    rclpy.init()
    node, executor = Listener(), SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join(PATIENCE_S)
        node.destroy_node()
        rclpy.try_shutdown()


def test_an_avatar_that_sends_pictures_ends_silently() -> None:
    with listening() as listener:
        program = Program("avatar_node", *arguments_of("avatar_node"))
        program.until("ready: preset")
        listener.listen(Image, "avatar/image_raw")
        listener.listen(AvatarMotion, "avatar/motion")
        listener.wait_for(20)
        program.send(INT, INT)
        code = program.end()
    assert (code, len(program.said)) == (0, 1), program.said
    assert "ready: preset" in program.said[0]


def test_transitions_that_are_not_allowed_are_answered() -> None:
    with listening() as listener:
        program = Program("avatar_node", "-p", "autostart:=false", "-p", "image_size_px:=128")
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
        program.send(TERM)
        assert program.end() == 0
    # Humble and Jazzy raise, which the node logs once in ten seconds; since Kilted rclpy logs each
    ours = [line for line in program.said if "[avatar_node]" in line]
    assert 1 <= len(ours) <= 3, program.said
    assert all("transition" in line for line in ours)
    assert "Traceback" not in "".join(program.said)


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
def test_what_the_user_can_mend_is_one_sentence(
    name: str, arguments: list[str], expected: str
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        program = Program(name, *(text.replace("TAKEN", port) for text in arguments))
        assert program.end() == 1
    said = [line for line in program.said if not line.startswith("[")]  # rcl's own have a severity
    assert len(said) == 1
    assert said[0].startswith(f"{name}: ")
    assert expected in said[0]


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
node_main.ENDING_PATIENCE_S = 0.2
node_main.run_node("stuck", lambda: Stuck("stuck"), [])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("stuck: ended without waiting any longer for one of: MainThread")
