"""What the tests of the standalone package share: patience, places, a real ROS if there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PEER = Path(__file__).parent / "peer.py"
PATIENCE_S = 15.0


def wait_until(done: Callable[[], Any], spin: Callable[[], Any] | None = None) -> Any:
    """Calls ``spin`` until ``done`` gives something true; fails after a long while."""
    end_s = time.monotonic() + PATIENCE_S
    while not (result := done()):
        assert time.monotonic() < end_s, "waited in vain"
        if spin is None:
            time.sleep(0.01)
        else:
            spin()
    return result


def real_environment() -> dict[str, str] | None:
    """The environment of a real ROS 2 on this machine whose rclpy runs here, or None."""
    setups = [*sorted(Path("/opt/ros").glob("*/setup.bash"))]
    if "AMENT_PREFIX_PATH" in os.environ:
        setups.insert(0, Path("/dev/null"))  # sourced already
    for setup in setups:
        script = f"source {setup} && {sys.executable} -c 'import rclpy' && env -0"
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
        if done.returncode == 0:
            pairs = done.stdout.decode().rstrip("\0").split("\0")
            found = dict(pair.split("=", 1) for pair in pairs)
            return found | {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    return None
