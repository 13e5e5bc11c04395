"""Protects `perception_node` over real DDS: images in, a person's motion out, to the avatar."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from avatar_forcing_ros.msg import AvatarMotion
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from avatar_forcing_ros.nodes.avatar_node import AvatarNode
from avatar_forcing_ros.nodes.convert_image import pixels_to_image
from avatar_forcing_ros.nodes.perception_node import PerceptionNode
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import INDEX, NAMES, vector
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.runtime.load import load_portrait
from avatar_forcing_ros.runtime.session import Session

PATIENCE_S = 40.0


class Camera(Node):
    """Publishes images and keeps what is found in them."""

    def __init__(self) -> None:
        super().__init__("camera")
        self.came = threading.Condition()
        self.motions: list[Any] = []
        self.diagnostics: list[Any] = []
        self.shows = self.create_publisher(Image, "user/image", 5)
        self.create_subscription(AvatarMotion, "user/motion", self._into(self.motions), 50)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._into(self.diagnostics), 10)

    def _into(self, taken: list[Any]) -> Callable[[Any], None]:
        def take(msg: Any) -> None:
            with self.came:
                taken.append(msg)
                self.came.notify_all()

        return take

    def show(self, pixels: np.ndarray, **changes: Any) -> None:
        msg = pixels_to_image(pixels, Header(stamp=self.get_clock().now().to_msg()))
        for name, value in changes.items():
            setattr(msg, name, value)
        self.shows.publish(msg)

    def until(self, done: Callable[[], Any], act: Callable[[], None]) -> None:
        """Do `act` about 20 times a second until `done`."""
        with self.came:
            for _ in range(int(20 * PATIENCE_S)):
                if done():
                    return
                act()
                self.came.wait(0.05)
        raise AssertionError("waited in vain")


@pytest.fixture
def spinning() -> Iterator[Callable[[Node], None]]:
    rclpy.init()
    executor = MultiThreadedExecutor(num_threads=4)
    nodes: list[Node] = []
    thread = threading.Thread(target=executor.spin, daemon=True)

    def add(node: Node) -> None:
        nodes.append(node)
        executor.add_node(node)
        if not thread.is_alive():
            thread.start()

    yield add
    for node in nodes:
        if isinstance(node, PerceptionNode):
            node.close()
        if isinstance(node, AvatarNode):
            node.close()
    executor.shutdown()
    thread.join(PATIENCE_S)
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def test_images_become_motion_and_bad_ones_are_counted(
    spinning: Callable[[Node], None],
) -> None:
    camera, perception = Camera(), PerceptionNode()
    spinning(camera)
    spinning(perception)
    face = WarpRenderer(load_portrait(shipped("models/portraits/ben.png"), 256))
    turned = face.render(vector(head_yaw=0.25, jaw_open=0.6))
    rest = face.render(vector())
    camera.until(lambda: len(camera.motions) >= 12, lambda: camera.show(rest))
    camera.until(
        lambda: camera.motions[-1].values[INDEX["head_yaw"]] > 0.1, lambda: camera.show(turned)
    )
    assert list(camera.motions[-1].names) == list(NAMES)
    assert camera.motions[-1].head_rpy.z > 0.1  # to their left, as REP-103 has it
    assert len(camera.motions[-1].latent) == 0
    assert camera.motions[-1].header.frame_id == "user_head"

    def counted() -> bool:
        values = [pair.key for a in camera.diagnostics[-1:] for s in a.status for pair in s.values]
        return "user/image encoding" in values

    camera.until(counted, lambda: camera.show(rest, encoding="nonsense"))
    sent = len(camera.motions)
    camera.until(lambda: len(camera.motions) > sent, lambda: camera.show(rest))


def test_the_avatar_takes_motion_instead_of_images(
    spinning: Callable[[Node], None], sessions: list[Session]
) -> None:
    camera = Camera()
    given = {"user_motion_source": "topic", "image_size_px": 128, "autostart": False}
    avatar = AvatarNode(parameter_overrides=[Parameter(n, value=v) for n, v in given.items()])
    for node in (camera, avatar):
        spinning(node)
    avatar.trigger_configure()
    avatar.trigger_activate()
    spinning(PerceptionNode())
    pixels = WarpRenderer(load_portrait(shipped("models/portraits/ben.png"), 256)).render(vector())
    (session,) = sessions
    camera.until(lambda: np.any(session.last_user_motion), lambda: camera.show(pixels))
    assert session.user_motion.started
    assert not session.user_frames.started
