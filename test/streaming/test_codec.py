"""The rig codec with the real face tracker: a reset leaves nothing of the last user."""

from __future__ import annotations

import numpy as np

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.rig.coefficients import INDEX, vector
from avatar_forcing_ros.runtime.load import load_portrait
from avatar_forcing_ros.streaming.codec import RigCodec
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS


def test_a_reset_leaves_nothing_of_the_last_user() -> None:
    codec = RigCodec(load_portrait(None, 256), FaceMeshTracker)
    poses = [vector(head_yaw=0.02 * i, jaw_open=0.05 * i) for i in range(8)]
    frames = [
        VideoFrame(pixels, i * FRAME_PERIOD_NS)
        for i, pixels in enumerate(codec.decode(np.stack(poses)))
    ]
    runs = []
    for _ in range(2):
        runs.append(np.stack([codec.encode_user(frame).values for frame in frames]))
        codec.reset()
    codec.close()
    assert runs[0].tobytes() == runs[1].tobytes()
    assert runs[0][-1, INDEX["head_yaw"]] > runs[0][0, INDEX["head_yaw"]] + 0.05
