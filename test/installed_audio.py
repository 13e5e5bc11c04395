"""Audio messages of whichever audio_common_msgs is installed, for tests that work with both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.nodes.convert_audio import (
    TO_MESSAGE,
    AudioFormat,
    audio_message,
    installed_kinds,
    resolve_kind,
    samples,
)

KIND = resolve_kind("auto")
MESSAGE = audio_message(KIND)
to_msg = TO_MESSAGE[KIND]
IS_BYTES = KIND == "audio_data_stamped"
# half a step of 16 bits, where messages hold these
ROUNDING = 0.5 / 32768 if IS_BYTES else 0.0
needs_audio_stamped = pytest.mark.skipif(
    "audio_stamped" not in installed_kinds(), reason="of the other audio_common_msgs"
)
needs_bytes = pytest.mark.skipif(not IS_BYTES, reason="of the other audio_common_msgs")


def mono(msg: Any) -> NDArray[np.float32]:
    """The samples ``[n]`` of a message of one channel."""
    return samples(msg, AudioFormat(16_000, 1, "int16"))[:, 0]
