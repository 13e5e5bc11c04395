"""MediaPipe, imported when a tracker is made and never before, and its start-up log messages.

Its C++ libraries write to file descriptor 2 themselves, before any log level is honoured.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError

# the last release with its models; 0.10.18, with the same ones, is the last of them for arm64. For
# newer Pythons there are releases without models alone
RELEASE = "0.10.18" if platform.machine() == "aarch64" else "0.10.21"
INSTALL_COMMAND = (
    f"pip install mediapipe=={RELEASE}"
    if sys.version_info < (3, 13)
    else "pip install 'mediapipe>=1.2.3,<2'"
)

LOG_NOISE = re.compile(
    rb"Created TensorFlow Lite XNNPACK delegate"
    rb"|before absl::InitializeLog\(\) is called"
    rb"|Logging before InitGoogle\(\)"
    rb"|inference_feedback_manager\.cc"
    rb"|landmark_projection_calculator\.cc"
    rb"|gl_context(_egl)?\.cc"
    rb"|face_landmarker_graph\.cc"
)
_lock = threading.RLock()  # two trackers that start at once must not restore each other's file


@contextmanager
def quiet_mediapipe() -> Iterator[None]:
    """Run a block with MediaPipe's known log messages filtered out of standard error.

    While it runs, descriptor 2 points to a temporary file; all other lines are written to it after
    the block. Without a usable descriptor 2 it does nothing.
    """
    with _lock:
        sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:
            yield
            return
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
                os.close(kept)
                caught.seek(0)
                for line in caught:
                    if not LOG_NOISE.search(line):
                        os.write(2, line)


def import_mediapipe() -> Any:
    """The module; raises MissingDependencyError where it is not installed."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # read once, when the library is loaded
    try:
        with quiet_mediapipe():
            import mediapipe
    except (ImportError, OSError) as error:  # OSError: of its C library
        raise MissingDependencyError(
            "face tracking",
            expected="the package mediapipe",
            got=str(error),
            remedy=INSTALL_COMMAND,
        ) from error
    return mediapipe


def landmark_array(points: Any) -> NDArray[np.float32]:
    """MediaPipe's `points` of one face as ``[478, 3]`` float32."""
    return np.array([(p.x, p.y, p.z) for p in points], np.float32)
