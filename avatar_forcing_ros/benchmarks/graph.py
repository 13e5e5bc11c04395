"""What the graph costs and loses: an avatar in a process of its own, received in others.

The first subscriber asks for reliable delivery of 512 x 512 images, compressed ones, motion and
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

from avatar_forcing_ros.benchmarks.measures import cpu_s, memory_mb
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.msg import AvatarMotion, AvatarState
from avatar_forcing_ros.nodes.convert_audio import audio_message, stamped_kind
from avatar_forcing_ros.nodes.middleware import prepare_middleware
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_RATE_HZ

DEPTH = 50
START_TIMEOUT_S = 60.0
WARM_UP_S = 5.0
STOP_TIMEOUT_S = 20.0
# of what the avatar reports in /diagnostics
SENDING, UNDRAWN = "sending_percent_of_a_core", "undrawn_frames"


@dataclass
class Received:
    """Stamps and times of arrival of one topic, on the clock of the stamps."""

    stamps_ns: list[int] = field(default_factory=list)
    arrivals_ns: list[int] = field(default_factory=list)

    def metrics(self, due_ms: float) -> dict[str, float]:
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
        self._reliability = reliability
        self.alive = threading.Event()  # the avatar has made a block
        self.begin()
        topics = {
            "avatar/image_raw": Image,
            "avatar/image_raw/compressed": CompressedImage,
            "avatar/motion": AvatarMotion,
            "avatar/audio_aligned": audio_message(stamped_kind("auto")),
        }
        for topic, kind in topics.items():
            profile = QoSProfile(depth=DEPTH, reliability=reliability)
            self.create_subscription(kind, topic, self._taker(topic), profile)
        latched = QoSProfile(depth=10, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(AvatarState, "avatar/state", self._on_state, latched)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def begin(self) -> None:
        """Measure from here on."""
        self._received: dict[str, Received] = {}
        self._due_ms: list[float] = []
        self.reported: dict[str, list[float]] = {SENDING: [], UNDRAWN: []}

    def metrics(self) -> dict[str, Any]:
        """Of every topic."""
        due_ms = float(np.median(self._due_ms)) if self._due_ms else 0.0
        topics = {topic: each.metrics(due_ms) for topic, each in self._received.items()}
        return {"reliability": self._reliability.name.lower(), "topics": topics}

    def _taker(self, topic: str) -> Callable[[Any], None]:
        def take(msg: Any) -> None:
            received = self._received.setdefault(topic, Received())
            received.arrivals_ns.append(self.get_clock().now().nanoseconds)
            received.stamps_ns.append(Time.from_msg(msg.header.stamp).nanoseconds)

        return take

    def _on_state(self, msg: Any) -> None:
        self._due_ms.append(msg.reaction_latency_ms)
        if msg.blocks:
            self.alive.set()

    def _on_diagnostics(self, msg: Any) -> None:
        for pair in (pair for status in msg.status for pair in status.values):
            if pair.key in self.reported:
                self.reported[pair.key].append(float(pair.value))


@contextmanager
def _subscriber(name: str, reliability: QoSReliabilityPolicy) -> Iterator[Subscriber]:
    """A subscriber whose callbacks are served in the background."""
    prepare_middleware()
    rclpy.init(args=[])
    node, executor = Subscriber(name, reliability), SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join(STOP_TIMEOUT_S)
        node.destroy_node()
        rclpy.try_shutdown()


def run_graph_benchmark(
    seconds: float, report: Callable[[str], None], *, has_second: bool = True
) -> dict[str, Any]:
    """Start an avatar and listen to it for `seconds`; it ends with this.

    `has_second`: another process listens as well, with best effort. Raises OutputError where the
    node does not come up.
    """
    prepare_middleware()  # the avatar's, too
    command = [sys.executable, "-m", "avatar_forcing_ros.cli", "node", "avatar_node"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    second = None
    try:
        with _subscriber("graph_benchmark", QoSReliabilityPolicy.RELIABLE) as node:
            _wait_for_start(process, node)
            if has_second:
                second = _start_second(seconds)
            time.sleep(WARM_UP_S)
            node.begin()
            report(f"listening for {seconds:g} s")
            before_s, start_s = cpu_s(process.pid), time.monotonic()
            time.sleep(seconds)
            share = (cpu_s(process.pid) - before_s) / (time.monotonic() - start_s)
            held_mb = memory_mb(process.pid)
            subscribers = [node.metrics()]
            sending, undrawn = node.reported[SENDING], node.reported[UNDRAWN]
        if second:
            subscribers.append(json.loads(second.communicate(timeout=STOP_TIMEOUT_S)[0]))
    finally:
        for child in filter(None, (process, second)):
            child.terminate()
            try:
                child.communicate(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
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
        # frames without an image, since there was no time to draw one: no loss of the graph
        "undrawn_frames": undrawn[-1] - undrawn[0] if undrawn else None,
        "subscribers": subscribers,
    }


def second_subscriber(seconds: float) -> None:
    """The other process: prints its metrics as JSON."""
    with _subscriber("second_subscriber", QoSReliabilityPolicy.BEST_EFFORT) as node:
        time.sleep(WARM_UP_S)
        node.begin()
        time.sleep(seconds)
        print(json.dumps(node.metrics()))


def _start_second(seconds: float) -> subprocess.Popen[str]:
    code = f"from {__name__} import second_subscriber; second_subscriber({seconds})"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _wait_for_start(process: subprocess.Popen[str], node: Subscriber) -> None:
    """Until the avatar has made its first blocks, and some seconds more."""
    end_s = time.monotonic() + START_TIMEOUT_S
    while not node.alive.wait(0.2):
        if process.poll() is not None or time.monotonic() > end_s:
            output = process.communicate()[0] if process.poll() is not None else "nothing"
            raise OutputError(
                "avatar_node",
                expected="it to start",
                got=" ".join(output.split())[-300:],
                remedy="start it by itself: avatar-forcing node avatar_node",
            )
    time.sleep(WARM_UP_S)


def _ros_distro() -> str:
    """Of the sourced ROS, or of the wheels, whose names hold it."""
    if os.environ.get("ROS_DISTRO"):
        return os.environ["ROS_DISTRO"]
    for distribution in importlib.metadata.distributions():
        prefix, _, package = (distribution.metadata["Name"] or "").rpartition("-rclpy")
        if prefix.startswith("ros-") and not package:
            return prefix.removeprefix("ros-")
    return "unknown"
