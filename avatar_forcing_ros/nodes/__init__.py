"""ROS nodes: they translate between messages and the pipeline, and compute nothing."""
