"""Where the user's head belongs: the pose that head x, y, scale and pitch are counted from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.canonical_face import canonical_face
from avatar_forcing_ros.perception.head_pose import HeadPose
from avatar_forcing_ros.rig.coefficients import POSE_COUNT
from avatar_forcing_ros.rig.face_mesh import head_centre
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

Array = NDArray[np.float64]

FIRST_FRAMES = 2 * FRAME_RATE_HZ  # the weight of the first detection
FOLLOW_FRAMES = 30 * FRAME_RATE_HZ  # a user who goes elsewhere is followed far slower than any
# gesture: re-centring quickly would remove the very motion that is to be seen


class PlaceReference:
    """A causal reference of place, size and pitch: the first detection, then a slow mean.

    Yaw and roll need none: a face is symmetric, so that zero can be seen. Pitch does,
    slowly: cameras sit above or below the eyes, and faces differ in profile.
    """

    def __init__(self) -> None:
        self._pivot = np.asarray(head_centre(canonical_face().astype(np.float32)), np.float64)
        self._seen = 0
        self._reference = np.zeros(4)  # x px, y px, log of the width in px, pitch rad

    def relative(self, pose: HeadPose) -> Array:
        """The six pose coefficients of `pose` against the reference so far, `pose` included."""
        centre_px = pose.centre_px + pose.width_px * pose.rotation @ self._pivot
        yaw, pitch, roll = pose.angles_rad
        place = np.array([centre_px[0], centre_px[1], np.log(pose.width_px), pitch])
        self._learn(place)
        x_px, y_px, log_width, level = self._reference
        width_px = np.exp(log_width)
        left, up = (place[0] - x_px) / width_px, (y_px - place[1]) / width_px
        out = np.array([yaw, pitch - level, roll, left, up, pose.width_px / width_px - 1.0])
        return out.reshape(POSE_COUNT)

    def _learn(self, place: Array) -> None:
        if self._seen == 0:
            self._reference[:3] = place[:3]  # pitch begins at the canonical face's level
        share = 1.0 / min(FIRST_FRAMES + self._seen, FOLLOW_FRAMES)
        self._reference += share * (place - self._reference)
        self._seen += 1
