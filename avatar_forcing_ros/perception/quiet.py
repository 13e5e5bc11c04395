"""Keeps MediaPipe's start-up chatter off standard error, and nothing else.

Its C++ libraries write to file descriptor 2 themselves, before any log level is honoured. While
the block runs, the descriptor points to a temporary file; afterwards it is put back and every
line that is not one of the known remarks is written where it was meant to go.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHATTER = re.compile(
    rb"Created TensorFlow Lite XNNPACK delegate"
    rb"|before absl::InitializeLog\(\) is called"
    rb"|inference_feedback_manager\.cc"
    rb"|landmark_projection_calculator\.cc"
    rb"|gl_context(_egl)?\.cc"
    rb"|face_landmarker_graph\.cc"
)
_lock = threading.RLock()  # two trackers that start at once must not restore each other's file


@contextmanager
def quiet_mediapipe() -> Iterator[None]:
    """Run a block with MediaPipe's known remarks filtered out of standard error.

    Lines of other origin appear after the block. Without a usable descriptor 2 it does nothing.
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
                    if not CHATTER.search(line):
                        os.write(2, line)
