"""Expression and gaze that somebody commands, blended with the generated motion.

What the generator remembers stays as it is: commands change what is shown and published alone, so
they can neither confuse it nor be taken back by it. Everything eases in and out as critically
damped springs do, which is a pure function of stamps: the same commands over the same motion give
the same result, whatever the blocks and whenever they were made.

Speech comes first. The jaw's share of an expression is shown while the avatar is silent; a raised
lip gives way to lips that close; a lid that is held low still blinks.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

Array = NDArray[np.float64]

MAX_WAITING = 1000  # commands stamped ahead
# how fast springs are, 1 / s: nine tenths of the way after 3.9 / rate seconds
FACE_RATE, HEAD_RATE, ATTENTION_RATE, EYES_RATE, PAUSE_RATE = 12.0, 7.0, 20.0, 40.0, 15.0
GENERATED_SHARE = 0.5  # of the generated face that stays under a commanded one
STEADINESS = 0.5  # the part of generated head motion that is held back while a target is looked at
SPEECH_DB = -45.0
SEEN = 1e-3  # of a coefficient

# gaze of 1 shifts an iris by 0.17 and 0.1 of an eye's width, 30 mm, over a ball of 12 mm radius
EYE_YAW_RAD, EYE_PITCH_RAD = math.asin(0.17 * 30 / 12), math.asin(0.1 * 30 / 12)
EYES_ALONE_RAD = 0.12  # a nearer target does not move the head
HEAD_SHARE = 0.7  # of what is beyond
MAX_HEAD_RAD = (0.35, 0.3)  # yaw, pitch: what portraits are turned by without swimming

_FACE = [INDEX[name] for name in (
    "smile_left", "smile_right", "frown", "brow_up_left", "brow_up_right", "brow_furrow",
    "cheek_raise",
)]  # fmt: skip
_LIDS = [INDEX["blink_left"], INDEX["blink_right"]]
_GAZE = [INDEX["gaze_x"], INDEX["gaze_y"]]
_TURN = [INDEX["head_yaw"], INDEX["head_pitch"]]
_MOVED = coefficients.POSE
_JAW, _CLOSE, _LIP = INDEX["jaw_open"], INDEX["lips_close"], INDEX["upper_lip_raise"]


@dataclass(frozen=True)
class GazeTarget:
    """Where to look, seen from the resting head: `yaw_rad` to its left, `pitch_rad` down.

    After `hold_s` without another one the avatar looks wherever it likes again. Raises ValueError
    for what is not finite, or behind the head.
    """

    yaw_rad: float
    pitch_rad: float
    hold_s: float = 3.0

    def __post_init__(self) -> None:
        if not abs(self.yaw_rad) <= math.pi / 2 or not abs(self.pitch_rad) <= math.pi / 2:
            raise ValueError(
                "look_at: expected a place before the face, within 90 degrees, got "
                f"{math.degrees(self.yaw_rad):.0f} to the left and "
                f"{math.degrees(self.pitch_rad):.0f} down"
            )
        if not 0.0 < self.hold_s < math.inf:
            raise ValueError(f"look_at: expected to be held for some seconds, got {self.hold_s:g}")

    @classmethod
    def at(cls, x: float, y: float, z: float, hold_s: float = 3.0) -> GazeTarget:
        """The place `x` before, `y` to the left of and `z` above the resting head (REP-103)."""
        if not 0.0 < math.hypot(x, y, z) < math.inf:
            raise ValueError(f"look_at: expected a place away from the head, got {(x, y, z)}")
        return cls(math.atan2(y, x), math.atan2(-z, math.hypot(x, y)), hold_s)


class Spring:
    """Values that go where they are asked to without overshooting, whatever the steps."""

    def __init__(self, count: int, rate: float | Array) -> None:
        self.at, self._speed, self._rate = np.zeros(count), np.zeros(count), rate

    def step(self, target: Array | float, dt_s: float) -> Array:
        """Where they are `dt_s` later."""
        away = self.at - target
        push = (self._speed + self._rate * away) * dt_s
        decay = np.exp(-self._rate * dt_s)
        self.at = target + (away + push) * decay
        self._speed = (self._speed - self._rate * push) * decay
        return self.at

    def place(self, at: Array) -> None:
        """Put them there, at rest."""
        self.at, self._speed = at, np.zeros(len(at))


def _face_rates() -> Array:
    rates = np.full(coefficients.COUNT, FACE_RATE)
    rates[_MOVED] = HEAD_RATE
    return rates


class DirectedMotion:
    """The commands of one conversation, and how far each has taken effect."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Expression | GazeTarget]] = []
        self._wanted = coefficients.neutral().astype(np.float64)  # [K] what an expression adds
        self._is_neutral = True
        self._target: GazeTarget | None = None
        self._until_ns = 0  # the target is looked at
        self._last_ns: int | None = None  # the frame before
        self._pause = Spring(1, PAUSE_RATE)  # whether the avatar is silent
        self._rest()

    def _rest(self) -> None:
        """Nothing is commanded, and nothing is on its way back."""
        self._still = True
        self._face = Spring(coefficients.COUNT, _face_rates())
        self._shown = Spring(1, FACE_RATE)  # whether an expression is
        self._attention = Spring(1, ATTENTION_RATE)
        self._eyes, self._head = Spring(2, EYES_RATE), Spring(2, HEAD_RATE)

    def push_expression(self, expression: Expression, stamp_ns: int) -> None:
        """Show `expression` from the first frame at `stamp_ns` on, until another comes."""
        self._push(stamp_ns, expression)

    def push_gaze_target(self, target: GazeTarget, stamp_ns: int) -> None:
        """Look at `target` from the first frame at `stamp_ns` on."""
        self._push(stamp_ns, target)

    def _push(self, stamp_ns: int, command: Expression | GazeTarget) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise ValueError(f"more than {MAX_WAITING} commands wait for their time")
        bisect.insort(self._waiting, (stamp_ns, command), key=lambda waiting: waiting[0])

    def apply(
        self, values: NDArray[np.float32], audio: NDArray[np.float32], first_ns: int
    ) -> NDArray[np.float32]:
        """The coefficients `values` ``[T, K]`` of frames from `first_ns` on, as commanded.

        `audio` ``[640 T]`` is the avatar's of the same frames. Without commands the very same
        array is returned.
        """
        rows = audio.reshape(len(values), SAMPLES_PER_FRAME).astype(np.float64)
        silent = 10 * np.log10(np.mean(rows**2, axis=1) + 1e-12) < SPEECH_DB  # [T]
        out = values
        for i in range(len(values)):
            stamp_ns = first_ns + i * FRAME_PERIOD_NS
            since_ns = FRAME_PERIOD_NS if self._last_ns is None else stamp_ns - self._last_ns
            self._last_ns = stamp_ns
            self._pause.step(float(silent[i]), since_ns / 1e9)
            self._take(stamp_ns)
            if self._still:
                continue
            out = values.copy() if out is values else out
            generated = values[i].astype(np.float64)
            shown = self._with_face(generated, since_ns / 1e9)
            out[i] = coefficients.clip(self._with_gaze(shown, generated, since_ns / 1e9))
            self._settle()
        return out

    def _take(self, stamp_ns: int) -> None:
        """Take the commands up to `stamp_ns`; let go of a target whose time is over."""
        while self._waiting and self._waiting[0][0] <= stamp_ns:
            at_ns, command = self._waiting.pop(0)
            self._still = False
            if isinstance(command, Expression):
                self._wanted = command.coefficients().astype(np.float64)
                self._is_neutral = command.is_neutral
            else:
                self._target, self._until_ns = command, at_ns + round(1e9 * command.hold_s)
        if self._target and stamp_ns >= self._until_ns:
            self._target = None

    def _with_face(self, values: Array, dt_s: float) -> Array:
        """`values` ``[K]`` with the expression."""
        face = self._face.step(self._wanted, dt_s)
        shown = self._shown.step(float(not self._is_neutral), dt_s)
        out = values.copy()
        out[_FACE] = values[_FACE] * (1.0 - (1.0 - GENERATED_SHARE) * shown) + face[_FACE]
        out[_LIDS] = face[_LIDS] + (1.0 - face[_LIDS]) * values[_LIDS]
        out[_LIP] += face[_LIP] * (1.0 - values[_CLOSE].clip(0.0, 1.0))
        out[_JAW] += face[_JAW] * self._pause.at[0]
        out[_GAZE] += face[_GAZE]
        out[_MOVED] += face[_MOVED]
        return out

    def _with_gaze(self, values: Array, generated: Array, dt_s: float) -> Array:
        """`values` ``[K]`` with eyes on the target: first they, then the head, turn to it."""
        target = self._target
        there = self._eyes.at if target is None else np.array([target.yaw_rad, target.pitch_rad])
        if target is not None and self._attention.at[0] < SEEN:
            self._eyes.place(there)
        eyes = self._eyes.step(there, dt_s)
        attention = self._attention.step(float(target is not None), dt_s)
        beyond = np.sign(there) * np.maximum(np.abs(there) - EYES_ALONE_RAD, 0.0)
        turn = np.clip(HEAD_SHARE * beyond, np.negative(MAX_HEAD_RAD), MAX_HEAD_RAD)
        head = self._head.step(turn if target is not None else 0.0, dt_s)
        out = values.copy()
        out[_TURN] += head - STEADINESS * attention * generated[_TURN]
        left = (eyes - out[_TURN]) / (EYE_YAW_RAD, EYE_PITCH_RAD)
        gaze = np.clip(left * (1.0, -1.0), -1.0, 1.0)  # down is negative
        out[_GAZE] = values[_GAZE] * (1.0 - attention) + attention * gaze
        return out

    def _settle(self) -> None:
        """Forget what is left of commands that were let go of, when nobody can see it."""
        springs = self._face, self._shown, self._attention, self._head
        away = max(float(np.abs(spring.at).max()) for spring in springs)
        self._still = self._is_neutral and self._target is None and away < SEEN
        if self._still:
            self._rest()
