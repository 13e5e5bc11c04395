"""The other process in tests: ordinary rclpy code, run without ROS, or with a real one."""

from __future__ import annotations

import sys

from avatar_forcing_ros.standalone import install

if "--real" not in sys.argv:
    install(force=True)

import rclpy
from pictures import FRAMES, view
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

KEPT = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def images(node: Node) -> None:
    """Publishes numbered pictures of 786 KB at 25 Hz once a viewer asks for them."""
    publisher = node.create_publisher(Image, "image", 10)
    pixels = bytes(512 * 512 * 3)
    sent = 0

    def tick() -> None:
        nonlocal sent
        if sent < FRAMES:
            image = Image(height=512, width=512, encoding="rgb8", step=1536, data=pixels)
            image.header.frame_id = str(sent)
            publisher.publish(image)
            sent += 1

    node.create_subscription(String, "go", lambda _: node.create_timer(0.04, tick), KEPT)


def viewer(node: Node) -> None:
    """Prints the frame_id of every picture that comes whole."""

    def on_image(image: Image) -> None:
        if len(image.data) == 512 * 512 * 3:
            print(image.header.frame_id, flush=True)

    view(node, Image, String, KEPT, on_image)


def server(node: Node) -> None:
    """Answers ~/where with its name; echoes what it hears; has parameters."""
    node.declare_parameter("gain", 1.0)
    node.declare_parameter("names", ["a", "b"])

    def where(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        response.message = node.get_fully_qualified_name()
        return response

    node.create_service(Trigger, "~/where", where)
    publisher = node.create_publisher(String, "echo", 10)
    node.create_subscription(String, "say", publisher.publish, 10)


def main() -> None:
    rclpy.init()
    mode = remove_ros_args(sys.argv)[1]
    node = LifecycleNode("peer") if mode == "managed" else Node("peer")
    {"images": images, "viewer": viewer, "server": server, "managed": server}[mode](node)
    try:
        print("ready", flush=True)
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
        print("ended", flush=True)


if __name__ == "__main__":
    main()
