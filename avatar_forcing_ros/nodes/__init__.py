"""ROS nodes: they translate between messages and the runtime, and compute nothing."""
