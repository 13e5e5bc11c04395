"""A robot around `avatar_node`: it subscribes to all topics and publishes what a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import installed_audio
from avatar_forcing_ros.msg import AvatarMotion, AvatarState
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from avatar_forcing_ros.nodes.avatar_node import AvatarNode

PATIENCE_S = 60.0
SMALL = {"image_size_px": 128, "autostart": False}
Set = Callable[..., AvatarNode]


class Robot(Node):
    """Everything around the avatar: subscribes to all topics and publishes what a test wants."""

    def __init__(self, **options: Any) -> None:
        super().__init__("robot", **options)
        self.got: dict[str, list[Any]] = {}
        self._came = threading.Condition()
        kinds = {
            "avatar/image_raw": Image,
            "avatar/image_raw/compressed": CompressedImage,
            "avatar/motion": AvatarMotion,
            "avatar/audio_aligned": installed_audio.MESSAGE,
            "avatar/state": AvatarState,
            "avatar/markers": MarkerArray,
            "joint_states": JointState,
            "/diagnostics": DiagnosticArray,
        }
        for topic, kind in kinds.items():
            self.got[topic] = []
            profile = QoSProfile(depth=50, reliability=QoSReliabilityPolicy.BEST_EFFORT)
            if topic == "avatar/state":
                profile = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            self.create_subscription(kind, topic, self._taker(topic), profile)
        self.speech = self.create_publisher(installed_audio.MESSAGE, "avatar/audio", 200)
        self.microphone = self.create_publisher(installed_audio.MESSAGE, "user/audio", 50)
        self.camera = self.create_publisher(Image, "user/image", 5)

    def _taker(self, topic: str) -> Callable[[Any], None]:
        def take(msg: Any) -> None:
            with self._came:
                self.got[topic].append(msg)
                self._came.notify_all()

        return take

    def wait(self, done: Callable[[], Any]) -> Any:
        """What `done` gives once it is true, looked at whenever a message comes."""
        with self._came:
            assert self._came.wait_for(done, PATIENCE_S), "waited in vain"
            return done()

    def some(self, topic: str, count: int) -> list[Any]:
        """The next `count` messages of a topic."""
        first = len(self.got[topic])
        self.wait(lambda: len(self.got[topic]) >= first + count)
        return self.got[topic][first : first + count]

    def ask(self, kind: Any, name: str, request: Any = None) -> Any:
        client = self.create_client(kind, name)
        assert client.wait_for_service(PATIENCE_S)
        done = threading.Event()
        future = client.call_async(request or kind.Request())
        future.add_done_callback(lambda _: done.set())
        assert done.wait(PATIENCE_S)
        self.destroy_client(client)
        return future.result()

    def errors(self) -> dict[str, str]:
        """The newest counts of what went wrong."""
        return self.diagnosed("errors")

    def diagnosed(self, what: str) -> dict[str, str]:
        """The newest values of the diagnostics' line `what`."""
        for array in reversed(self.got["/diagnostics"]):
            for status in array.status:
                if status.name.endswith(what):
                    return {pair.key: pair.value for pair in status.values}
        return {}

    def header(self) -> Header:
        return Header(stamp=self.get_clock().now().to_msg())


def started(avatar: Set, **parameters: Any) -> AvatarNode:
    node = avatar(**parameters)
    node.trigger_configure()
    node.trigger_activate()
    return node


def stamp(msg: Any) -> int:
    return int(msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec)
