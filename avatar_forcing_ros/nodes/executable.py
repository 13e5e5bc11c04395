"""The executables: signals are looked after first, then what takes long is imported."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.nodes.stop_signals import StopSignals

PACKAGE = __name__.partition(".")[0]


def run_executable(name: str, args: Sequence[str] | None = None) -> int:
    """Run the node of the module `name` until it is told to end; the process's exit code.

    A package that is missing is one sentence on stderr and 1.
    """
    signals = StopSignals()
    signals.install()
    # MediaPipe and TensorFlow Lite write start-up notes to stderr unless told not to
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        module = importlib.import_module(f"{PACKAGE}.nodes.{name}")
    except ImportError as error:
        missing = error.name or ""
        if missing.startswith(PACKAGE) and missing != f"{PACKAGE}.msg":
            raise  # a fault of this package, which wants its trace
        print(f"{name}: {_missing(error)}", file=sys.stderr)
        return 1
    return int(module.main(args, signals))


def _missing(error: ImportError) -> MissingDependencyError:
    package = (error.name or "").partition(".")[0]
    of_ros = package in ("rclpy", PACKAGE) or package.endswith("_msgs")
    return MissingDependencyError(
        f"Python package '{error.name}'",
        expected=f"one that {sys.executable} can import",
        got=str(error),
        remedy="source ROS 2 and this package's workspace, or run scripts/install .venv ros"
        if of_ros
        else f"run: pip install 'avatar_forcing_ros[all]', or pip install {package}",
    )
