"""What the graph costs: an avatar in a process of its own, every topic received in this one.

Somebody takes 512 x 512 pictures, compressed ones, motion and sound over reliable connections.
Every stamp that does not arrive is a loss. What sending costs the avatar's process (messages, JPEG
and the wire) it measures itself, by the processor time of the thread that sends.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from audio_common_msgs.msg import AudioStamped
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.msg import AvatarMotion, AvatarState
from avatar_forcing_ros.pipeline.process_use import cpu_s, memory_mb
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_RATE_HZ

TOPICS = {
    "avatar/image_raw": Image,
    "avatar/image_raw/compressed": CompressedImage,
    "avatar/motion": AvatarMotion,
    "avatar/audio_aligned": AudioStamped,
}
DEPTH = 50
START_PATIENCE_S = 60.0
SETTLE_S = 5.0


@dataclass
class Received:
    """Stamps and times of arrival of one topic."""

    stamps_ns: list[int] = field(default_factory=list)
    arrivals_s: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Messages, losses, rate and jitter."""
        steps = np.diff(np.array(self.stamps_ns)) / FRAME_PERIOD_NS
        gaps_ms = 1000.0 * np.diff(np.array(self.arrivals_s))
        span_s = self.arrivals_s[-1] - self.arrivals_s[0]
        return {
            "messages": len(self.stamps_ns),
            "lost": round(float(np.sum(steps - 1.0))),
            "rate_hz": round((len(self.stamps_ns) - 1) / span_s, 3),
            "gap_p99_ms": round(float(np.percentile(gaps_ms, 99)), 2),
            "gap_worst_ms": round(float(gaps_ms.max()), 2),
        }


def run_graph_benchmark(seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Start an avatar and listen to it for `seconds`; it ends with this.

    Raises OutputError where the node does not come up.
    """
    names = [f"/{topic}" for topic in TOPICS if topic.startswith("avatar/image")]
    overrides = [
        f"-p qos_overrides.{name}.publisher.{policy}".split()
        for name in names
        for policy in ("reliability:=reliable", f"depth:={DEPTH}")
    ]
    command = [sys.executable, "-m", "avatar_forcing_ros.cli", "node", "avatar_node", "--",
               "--ros-args", *(word for override in overrides for word in override)]  # fmt: skip
    rclpy.init()
    node = Node("graph_benchmark")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    try:
        thread.start()
        _wait_for_life(node, process)
        received = {topic: Received() for topic in TOPICS}
        for topic, kind in TOPICS.items():
            _listen(node, topic, kind, received[topic])
        time.sleep(SETTLE_S)
        for each in received.values():
            each.stamps_ns.clear()
            each.arrivals_s.clear()
        sending: list[float] = []
        node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda msg: sending.extend(_sending(msg)), 10
        )
        say(f"listening for {seconds:g} s")
        share = _cpu_share(process.pid, seconds)
        held_mb = memory_mb(process.pid)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20.0)
        except subprocess.TimeoutExpired:
            process.kill()
        executor.shutdown()
        thread.join(5.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return {
        "seconds": seconds,
        "frames_a_second": FRAME_RATE_HZ,
        "cpu_percent_of_a_core": {
            "avatar_in_all": round(100 * share, 1),
            "sending_median": round(float(np.median(sending)), 1) if sending else None,
            "sending_worst_second": round(max(sending), 1) if sending else None,
        },
        "memory_mb": held_mb,
        "topics": {topic: each.figures() for topic, each in received.items()},
    }


def _wait_for_life(node: Node, process: subprocess.Popen[str]) -> None:
    alive = threading.Event()
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    state = node.create_subscription(
        AvatarState, "avatar/state", lambda msg: alive.set() if msg.blocks else None, latched
    )
    end_s = time.monotonic() + START_PATIENCE_S
    while not alive.wait(0.2):
        if process.poll() is not None or time.monotonic() > end_s:
            told = process.communicate()[0] if process.poll() is not None else "nothing"
            raise OutputError(
                "avatar_node",
                expected="it to come to life",
                got=" ".join(told.split())[-300:],
                remedy="start it by itself: avatar-forcing node avatar_node",
            )
    node.destroy_subscription(state)
    time.sleep(SETTLE_S)


def _listen(node: Node, topic: str, kind: Any, received: Received) -> None:
    def take(msg: Any) -> None:
        received.arrivals_s.append(time.monotonic())
        received.stamps_ns.append(msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec)

    reliable = QoSProfile(depth=DEPTH, reliability=QoSReliabilityPolicy.RELIABLE)
    node.create_subscription(kind, topic, take, reliable)


def _sending(msg: Any) -> list[float]:
    pairs = [pair for status in msg.status for pair in status.values]
    return [float(pair.value) for pair in pairs if pair.key == "sending_percent_of_a_core"]


def _cpu_share(pid: int, seconds: float) -> float:
    """Cores' worth of time that the process takes over the next `seconds`."""
    before, start_s = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(pid) - before) / (time.monotonic() - start_s)
