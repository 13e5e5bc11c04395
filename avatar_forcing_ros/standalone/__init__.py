"""Runs the nodes where no ROS is installed, over the real ROS 2 wire protocol.

``install()`` is the one door: it provides ``rclpy``, ``tf2_ros`` and the message packages, as far
as this package uses them, where they cannot be imported. DDS is carried by ``cyclonedds``,
message definitions and CDR come from ``rosbags``.
"""

from avatar_forcing_ros.standalone.install import install, uninstall

__all__ = ["install", "uninstall"]
