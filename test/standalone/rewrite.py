"""With a real ROS: reads a message as CDR from each line of input and writes it again."""

from __future__ import annotations

import sys

from rclpy.serialization import deserialize_message, serialize_message
from rosidl_runtime_py.utilities import get_message

for line in sys.stdin:
    name, data = line.split()
    message = deserialize_message(bytes.fromhex(data), get_message(name))
    print(serialize_message(message).hex(), flush=True)
