"""Shared by all tests: one thread for each, and messages that stay on this machine."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch

torch.set_num_threads(1)
cv2.setNumThreads(1)

# workers of one run, and other programs on the machine, must not hear each other
_WORKER = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
os.environ["ROS_DOMAIN_ID"] = os.environ.get("AVATAR_TEST_DOMAIN_ID", str(70 + _WORKER % 20))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("ROS_LOCALHOST_ONLY", None)
