"""Shared by all tests: one thread for each, and messages that stay on this machine."""

from __future__ import annotations

import contextlib
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2

cv2.setNumThreads(1)
with contextlib.suppress(ImportError):  # tools/matrix runs what needs no torch without it
    import torch

    torch.set_num_threads(1)

# workers of one run, and other programs on the machine, must not hear each other
with contextlib.suppress(ImportError):  # comes with ROS, which not every test needs
    from domain_coordinator import domain_id

    _DOMAIN = domain_id()  # held until this process ends
    os.environ["ROS_DOMAIN_ID"] = str(_DOMAIN.__enter__())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("ROS_LOCALHOST_ONLY", None)
