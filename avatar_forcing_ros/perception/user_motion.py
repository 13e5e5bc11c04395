"""The user's motion: what the face in the camera does, as a vector of rig coefficients.

Only the past is used: the value given for a frame never depends on a later one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.perception.head_pose import HeadPose, canonical_face, estimate_pose
from avatar_forcing_ros.perception.hidden_mouth import HiddenMouth
from avatar_forcing_ros.perception.neutral_face import NeutralFace
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import COUNT, EXPRESSION, POSE, POSE_COUNT
from avatar_forcing_ros.rig.face_landmarks import check_landmarks, head_centre
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_RATE_HZ

Array = NDArray[np.float64]

HOLD_S = 0.2  # a face that is lost for so long was not lost: it blurred, or a hand passed
DECAY_S = 1.0  # then the motion goes back to neutral in this time
RETURN_S = 0.2  # in which a face that comes back takes over from the decay
FORGET_S = 3.0  # after so long a face is taken for a new user
BACK_S = 1.0  # stamps that go back by more are of a clock that has begun anew, as in a replay
FIRST_FRAMES = 2 * FRAME_RATE_HZ  # the weight of the first detection
FOLLOW_FRAMES = 30 * FRAME_RATE_HZ  # a user who goes elsewhere is followed far slower than any
# gesture: re-centring quickly would remove the very motion that is to be seen
MIN_FACE_PX = 8.0
MAX_FACE_SIZE = 2.0  # of the image's longer side; of a nearer one there is nothing to see

# What tracking loses is given back here. FaceMesh follows less than what images show (of a pitch
# that a rendered image shows it reports 0.87, of lifted brows and mouth corners about half), and
# the ridge of the least squares takes a share. Each is between the inverse slopes measured on
# rendered portraits and on exact landmarks, so neither comes back at exactly 1: rendered images
# stay below it, exact landmarks may go above. Yaw, roll and blinks need nothing; what is read of a
# lowered lip is too uncertain to be raised.
GAINS = {
    "head_pitch": 1.15,
    **{"jaw_open": 1.3, "lips_close": 2.0, "mouth_wide": 1.5, "mouth_pucker": 1.3},
    **{"smile_left": 1.7, "smile_right": 1.7, "frown": 1.8},
    **{"upper_lip_raise": 1.5, "cheek_raise": 2.0},
    **{"gaze_x": 1.2, "gaze_y": 1.2},
    **{"brow_up_left": 1.6, "brow_up_right": 1.6, "brow_furrow": 1.3},
}
_GAINS: Array = np.array([GAINS.get(name, 1.0) for name in coefficients.NAMES])


@dataclass(frozen=True)
class UserMotion:
    """One frame of the user: `values` ``[K]`` float32 in the order of ``coefficients.NAMES``.

    Without a visible face `values` hold, then decay to zeros, and `face_visible` is False.
    """

    values: NDArray[np.float32]
    face_visible: bool


class UserMotionEstimator:
    """Turns the observations of one user into coefficients, a frame at a time.

    `smooth` applies a One-Euro filter that lags by less than one frame.
    """

    def __init__(self, *, smooth: bool = True) -> None:
        self._smooth = smooth
        self.reset()

    def reset(self) -> None:
        """Forget the user: resting face, place and motion."""
        self._new_user()
        self._values: Array = np.zeros(COUNT)  # as last given with a visible face
        self._seen_ns: int | None = None
        self._returned: tuple[int, Array] | None = None  # when a face came, and the values before
        self._where: Array | None = None  # the landmarks' middle, and the face's width, px [3]

    def _new_user(self) -> None:
        self._neutral = NeutralFace()
        self._place = PoseReference()
        self._raw_expression = np.zeros(COUNT - POSE_COUNT)
        self._hidden_mouth = HiddenMouth()
        self._filter = OneEuroFilter(_min_cutoffs_hz(), _speed_gains())

    def update(self, observation: FaceObservation | None, stamp_ns: int) -> UserMotion:
        """The user's motion at `stamp_ns`; `observation` is None where no face was found.

        Stamps are of one clock; where they go back by more than BACK_S that has begun anew, and
        the user counts as a new one.
        """
        if self._seen_ns is not None and stamp_ns < self._seen_ns - _ns(BACK_S):
            self.reset()
        if observation is None or not usable(observation):
            return UserMotion(self._decayed(stamp_ns).astype(np.float32), False)
        where = _where(observation)
        if self._seen_ns is not None and stamp_ns - self._seen_ns <= _ns(HOLD_S):
            if self._where is not None and _apart(where, self._where):
                self._returned = stamp_ns, self._values.copy()
                self._new_user()  # nobody moves that fast: it is another person
        elif self._seen_ns is not None:
            self._returned = stamp_ns, self._decayed(stamp_ns)
            self._filter.reset()
            if stamp_ns - self._seen_ns > _ns(FORGET_S):
                self._new_user()
        raw = self._read(observation, stamp_ns)
        values = self._filter(raw) if self._smooth else raw
        if self._returned is not None:
            since_ns, start = self._returned
            part = (stamp_ns - since_ns + FRAME_PERIOD_NS) / _ns(RETURN_S)
            part = min(1.0, max(0.0, part))
            values = start + part * (values - start)
        self._values = np.clip(values, coefficients.LOW, coefficients.HIGH).astype(np.float64)
        self._seen_ns, self._where = stamp_ns, where
        return UserMotion(self._values.astype(np.float32), True)

    def _read(self, observation: FaceObservation, stamp_ns: int) -> Array:
        """Coefficients ``[K]`` of one observation, before smoothing."""
        pose = estimate_pose(observation.landmarks_px, canonical_face())
        face = pose.to_face(observation.landmarks_px)  # [478, 3]
        visible = observation.mouth_visible
        if visible:
            self._neutral.add(face, abs(float(pose.angles_rad[0])))
        read = self._neutral.solver.solve(face, self._raw_expression)
        self._raw_expression = self._hidden_mouth(read, visible, stamp_ns)
        out = np.zeros(COUNT)
        out[POSE] = self._place.relative(pose)
        out[EXPRESSION] = self._raw_expression
        return out * _GAINS

    def _decayed(self, stamp_ns: int) -> Array:
        """The last values, held for HOLD_S, then brought to zero along a smooth step."""
        if self._seen_ns is None:
            return np.zeros(COUNT)
        lost_s = (stamp_ns - self._seen_ns) / 1e9
        part = float(np.clip((lost_s - HOLD_S) / DECAY_S, 0.0, 1.0))
        return self._values * (1.0 - part * part * (3.0 - 2.0 * part))


class PoseReference:
    """What head x, y, scale and pitch are counted from: the first detection, then a slow mean.

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


class OneEuroFilter:
    """The One-Euro filter: smooth while still, quick while moving (Casiez, Roussel, Vogel 2012).

    A causal low-pass over vectors ``[K]`` whose cut-off rises with the speed of each entry.

    `min_cutoff_hz` when still; `speed_gain` adds to it, in Hz per unit and second.
    """

    def __init__(
        self,
        min_cutoff_hz: float | Array,
        speed_gain: float | Array,
        *,
        speed_cutoff_hz: float = 4.0,
        rate_hz: float = FRAME_RATE_HZ,
    ) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._speed_gain = speed_gain
        self._speed_share = _share(np.array(speed_cutoff_hz), rate_hz)
        self._rate_hz = rate_hz
        self._raw: Array | None = None
        self._speed = np.zeros(0)
        self._value = np.zeros(0)

    def reset(self) -> None:
        """Forget everything: the next value passes unchanged."""
        self._raw = None

    def __call__(self, value: Array) -> Array:
        """The smoothed `value` ``[K]``."""
        if self._raw is None:
            self._raw, self._value, self._speed = value.copy(), value.copy(), np.zeros_like(value)
            return value.copy()
        speed = (value - self._raw) * self._rate_hz
        self._speed += self._speed_share * (speed - self._speed)
        cutoff_hz = self._min_cutoff_hz + self._speed_gain * np.abs(self._speed)
        self._value += _share(cutoff_hz, self._rate_hz) * (value - self._value)
        self._raw = value.copy()
        return self._value.copy()


def usable(observation: FaceObservation, image_shape: tuple[int, ...] | None = None) -> bool:
    """Whether the landmarks are a face of some pixels; a tracker may lose its hold.

    With `image_shape` (height, width, …) a face of several images' size is none either.
    """
    try:
        points = check_landmarks(observation.landmarks_px)
    except MediaError:
        return False
    size_px = np.ptp(points[:, :2], axis=0)
    if image_shape is not None and size_px.max() > MAX_FACE_SIZE * max(image_shape[:2]):
        return False
    return bool(size_px.min() >= MIN_FACE_PX)


def _where(observation: FaceObservation) -> Array:
    points = observation.landmarks_px[:, :2].astype(np.float64)
    return np.array([*points.mean(0), np.ptp(points[:, 0])])


def _apart(face: Array, last: Array) -> bool:
    """Whether two faces, one a few frames after the other, lie beside each other."""
    return bool(np.linalg.norm(face[:2] - last[:2]) > max(face[2], last[2]))


def _min_cutoffs_hz() -> Array:
    """A still face is smoothed below these; 8 Hz is a lag of half a frame, 6 Hz of two thirds."""
    cutoffs = np.full(COUNT, 8.0)
    cutoffs[POSE] = 6.0
    return cutoffs


def _speed_gains() -> Array:
    """What motion adds to the cut-off, in Hz per unit and second; a radian is a large unit."""
    gains = np.full(COUNT, 4.0)
    gains[POSE] = 20.0
    return gains


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _share(cutoff_hz: Array, rate_hz: float) -> Array:
    """How much of a step a first-order low-pass takes in one sample."""
    turn = 2 * np.pi * cutoff_hz / rate_hz
    return np.asarray(turn / (turn + 1.0), np.float64)
