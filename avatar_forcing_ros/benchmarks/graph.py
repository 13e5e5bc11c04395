"""What the graph costs and loses: an avatar in a process of its own, received in others.

The first subscriber asks for reliable delivery of 512 x 512 pictures, compressed ones, motion and
audio; a second one, in a process of its own, for best effort. A stamp that does not arrive is a
loss. What sending costs the avatar's process (messages, JPEG and the middleware) it measures
itself, by the processor time of the thread that sends.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.benchmarks.process_use import cpu_s, memory_mb
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.msg import AvatarMotion, AvatarState
from avatar_forcing_ros.nodes.convert_audio import audio_message, stamped_kind
from avatar_forcing_ros.nodes.middleware import prepare_middleware
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_RATE_HZ

DEPTH = 50
START_PATIENCE_S = 60.0
SETTLE_S = 5.0
STOP_S = 20.0


def _topics() -> dict[str, Any]:
    return {
        "avatar/image_raw": Image,
        "avatar/image_raw/compressed": CompressedImage,
        "avatar/motion": AvatarMotion,
        "avatar/audio_aligned": audio_message(stamped_kind("auto")),
    }


@dataclass
class Received:
    """Stamps and times of arrival of one topic, on the clock of the stamps."""

    stamps_ns: list[int] = field(default_factory=list)
    arrivals_ns: list[int] = field(default_factory=list)

    def figures(self, due_ms: float) -> dict[str, float]:
        """Messages, losses, rate, jitter and latency.

        `due_ms` is how long after its stamp the avatar sends a frame; latency comes after that.
        """
        if len(self.stamps_ns) < 2:
            return {"messages": len(self.stamps_ns)}
        stamps, arrivals = np.array(self.stamps_ns), np.array(self.arrivals_ns)
        lost = round(float(np.sum(np.diff(stamps) / FRAME_PERIOD_NS - 1.0)))
        gaps_ms, late_ms = np.diff(arrivals) / 1e6, (arrivals - stamps) / 1e6 - due_ms
        return {
            "messages": len(stamps),
            "lost": lost,
            "lost_percent": round(100 * lost / (len(stamps) + lost), 3),
            "rate_hz": round((len(stamps) - 1) / ((arrivals[-1] - arrivals[0]) / 1e9), 3),
            "gap_p99_ms": round(float(np.percentile(gaps_ms, 99)), 2),
            "gap_worst_ms": round(float(gaps_ms.max()), 2),
            "latency_median_ms": round(float(np.median(late_ms)), 2),
            "latency_p99_ms": round(float(np.percentile(late_ms, 99)), 2),
        }


class Subscriber(Node):
    """Takes all topics; `begin` forgets what came so far."""

    def __init__(self, name: str, reliability: QoSReliabilityPolicy) -> None:
        super().__init__(name)
        self._received: dict[str, Received] = {}
        self._reliability = reliability
        self._due_ms: list[float] = []
        self.begin()
        for topic, kind in _topics().items():
            self.create_subscription(
                kind,
                topic,
                lambda msg, topic=topic: self._take(topic, msg),
                QoSProfile(depth=DEPTH, reliability=reliability),
            )
        self.create_subscription(AvatarState, "avatar/state", self._on_state, 10)

    def begin(self) -> None:
        """Measure from here on."""
        self._received = {topic: Received() for topic in _topics()}
        self._due_ms = []

    def figures(self) -> dict[str, Any]:
        """Of every topic."""
        due_ms = float(np.median(self._due_ms)) if self._due_ms else 0.0
        topics = {topic: each.figures(due_ms) for topic, each in self._received.items()}
        return {"reliability": self._reliability.name.lower(), "topics": topics}

    def _take(self, topic: str, msg: Any) -> None:
        received = self._received[topic]
        received.arrivals_ns.append(self.get_clock().now().nanoseconds)
        received.stamps_ns.append(Time.from_msg(msg.header.stamp).nanoseconds)

    def _on_state(self, msg: Any) -> None:
        self._due_ms.append(msg.reaction_latency_ms)


@contextmanager
def _spinning(node: Node) -> Iterator[None]:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(STOP_S)
        node.destroy_node()


def run_graph_benchmark(
    seconds: float, say: Callable[[str], None], *, has_second: bool = True
) -> dict[str, Any]:
    """Start an avatar and listen to it for `seconds`; it ends with this.

    `has_second`: another process listens as well, with best effort. Raises OutputError where the
    node does not come up.
    """
    prepare_middleware()
    rclpy.init(args=[])
    command = [sys.executable, "-m", "avatar_forcing_ros.cli", "node", "avatar_node"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    second = None
    try:
        _wait_for_life(process)
        node = Subscriber("graph_benchmark", QoSReliabilityPolicy.RELIABLE)
        sending: list[float] = []
        undrawn: list[float] = []

        def on_diagnostics(msg: DiagnosticArray) -> None:
            sending.extend(_numbers(msg, "sending_percent_of_a_core"))
            undrawn.extend(_numbers(msg, "undrawn_frames"))

        node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
        with _spinning(node):
            if has_second:
                second = _start_second(seconds)
            time.sleep(SETTLE_S)
            node.begin()
            sending.clear()
            undrawn.clear()
            say(f"listening for {seconds:g} s")
            share = _cpu_share(process.pid, seconds)
            held_mb = memory_mb(process.pid)
            subscribers = [node.figures()]
        if second:
            told = second.communicate(timeout=STOP_S)[0]
            subscribers.append(json.loads(told))
    finally:
        for child in filter(None, (process, second)):
            child.terminate()
            try:
                child.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
        rclpy.try_shutdown()
    return {
        "seconds": seconds,
        "rmw": rclpy.get_rmw_implementation_identifier(),
        "ros_distro": _ros_distro(),
        "frames_a_second": FRAME_RATE_HZ,
        "cpu_percent_of_a_core": {
            "avatar_in_all": round(100 * share, 1),
            "sending_median": round(float(np.median(sending)), 1) if sending else None,
            "sending_worst_second": round(max(sending), 1) if sending else None,
        },
        "memory_mb": held_mb,
        # frames without a picture, since there was no time to draw one: no loss of the graph
        "undrawn_frames": undrawn[-1] - undrawn[0] if undrawn else None,
        "subscribers": subscribers,
    }


def second_subscriber(seconds: float) -> None:
    """The other process: prints its figures as JSON."""
    prepare_middleware()
    rclpy.init(args=[])
    node = Subscriber("second_subscriber", QoSReliabilityPolicy.BEST_EFFORT)
    with _spinning(node):
        time.sleep(SETTLE_S)
        node.begin()
        time.sleep(seconds)
        print(json.dumps(node.figures()))
    rclpy.try_shutdown()


def _start_second(seconds: float) -> subprocess.Popen[str]:
    code = f"from {__name__} import second_subscriber; second_subscriber({seconds})"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _ros_distro() -> str:
    """Of the sourced ROS, or of the wheels, whose names hold it."""
    if os.environ.get("ROS_DISTRO"):
        return os.environ["ROS_DISTRO"]
    for distribution in importlib.metadata.distributions():
        prefix, _, package = (distribution.metadata["Name"] or "").rpartition("-rclpy")
        if prefix.startswith("ros-") and not package:
            return prefix.removeprefix("ros-")
    return "unknown"


def _wait_for_life(process: subprocess.Popen[str]) -> None:
    """Until the avatar has made its first blocks, and some seconds more."""
    node, alive = Node("graph_benchmark_start"), threading.Event()
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    node.create_subscription(
        AvatarState, "avatar/state", lambda msg: alive.set() if msg.blocks else None, latched
    )
    end_s = time.monotonic() + START_PATIENCE_S
    with _spinning(node):
        while not alive.wait(0.2):
            if process.poll() is not None or time.monotonic() > end_s:
                told = process.communicate()[0] if process.poll() is not None else "nothing"
                raise OutputError(
                    "avatar_node",
                    expected="it to come to life",
                    got=" ".join(told.split())[-300:],
                    remedy="start it by itself: avatar-forcing node avatar_node",
                )
    time.sleep(SETTLE_S)


def _numbers(msg: Any, key: str) -> list[float]:
    pairs = [pair for status in msg.status for pair in status.values]
    return [float(pair.value) for pair in pairs if pair.key == key]


def _cpu_share(pid: int, seconds: float) -> float:
    """Cores' worth of time that the process takes over the next `seconds`."""
    before, start_s = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(pid) - before) / (time.monotonic() - start_s)
