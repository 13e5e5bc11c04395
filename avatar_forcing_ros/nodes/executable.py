"""The executables: signals are looked after first, then what takes long is imported."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from avatar_forcing_ros.errors import missing_package
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
        missing = missing_package(error)
        if missing is None:
            raise
        print(f"{name}: {missing}", file=sys.stderr)
        return 1
    return int(module.main(args, signals))
