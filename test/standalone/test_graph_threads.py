"""The graph may be asked from any thread, while others come and go on it."""

from __future__ import annotations

import threading

from avatar_forcing_ros import standalone

standalone.install()

import rclpy  # noqa: E402
from rclpy.node import Node  # noqa: E402
from std_msgs.msg import String  # noqa: E402

ROUNDS, ASKERS = 60, 3


def test_asking_from_many_threads_while_publishers_come_and_go() -> None:
    rclpy.init()
    nodes = [Node(f"asker_{k}") for k in range(ASKERS)]
    troubles: list[BaseException] = []

    def ask(node: Node) -> None:
        try:
            for _ in range(ROUNDS):
                assert node.count_publishers("rosout") >= 0
                node.get_topic_names_and_types()
                node.get_publishers_info_by_topic("/news")
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=ask, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for k in range(ROUNDS):
        publisher = nodes[k % ASKERS].create_publisher(String, "news", 5)
        nodes[k % ASKERS].destroy_publisher(publisher)
    for thread in threads:
        thread.join(60.0)
        assert not thread.is_alive()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    assert troubles == []
