"""Commands move the generated motion at once and smoothly, and let go; speech comes first."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX
from avatar_forcing_ros.rig.expressions import EXPRESSIONS, Expression
from avatar_forcing_ros.streaming.directed_motion import (
    EYE_PITCH_RAD,
    EYE_YAW_RAD,
    MAX_WAITING,
    DirectedMotion,
    GazeTarget,
)
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_RATE_HZ, SAMPLES_PER_FRAME

Array = NDArray[np.float32]
SECOND_NS = 10**9


def generated(frames: int, seed: int = 0) -> Array:
    """A face that talks, blinks and moves: ``[frames, K]``."""
    rng = np.random.default_rng(seed)
    smooth = np.stack([np.convolve(rng.normal(size=frames + 8), np.ones(9) / 3, "valid")
                       for _ in range(COUNT)], axis=1)  # fmt: skip
    values = coefficients.clip(0.15 * smooth)
    values[:, INDEX["jaw_open"]] = np.abs(smooth[:, 0]).clip(0, 1)
    values[:, INDEX["lips_close"]] = (smooth[:, 1] > 1.0).astype(np.float32)
    for name in ("blink_left", "blink_right"):
        values[:, INDEX[name]] = (np.arange(frames) % 60 < 4).astype(np.float32)
    return values


def run(
    directed: DirectedMotion, values: Array, *, loud: bool = False, block: int = 3, first: int = 0
) -> Array:
    """`values` as commanded, in blocks of `block` frames."""
    audio = np.full(SAMPLES_PER_FRAME * len(values), 0.1 if loud else 0.0, np.float32)
    parts = []
    for k in range(0, len(values), block):
        part = values[k : k + block]
        samples = audio[k * SAMPLES_PER_FRAME : (k + len(part)) * SAMPLES_PER_FRAME]
        parts.append(directed.apply(part, samples, (first + k) * FRAME_PERIOD_NS))
    return np.concatenate(parts)


def column(values: Array, name: str) -> Array:
    return values[:, INDEX[name]]


def test_without_commands_nothing_is_touched() -> None:
    values = generated(3)
    assert DirectedMotion().apply(values, np.zeros(1920, np.float32), 0) is values


def test_an_expression_moves_within_200_ms_and_is_let_go_of_again() -> None:
    directed, rest = DirectedMotion(), np.zeros((150, COUNT), np.float32)
    directed.push_expression(Expression("happy"), SECOND_NS)
    directed.push_expression(Expression("neutral"), 3 * SECOND_NS)
    smile = column(run(directed, rest), "smile_left")
    assert not smile[:FRAME_RATE_HZ].any()
    assert smile[FRAME_RATE_HZ + 5] > 0.4  # 200 ms later
    assert smile[3 * FRAME_RATE_HZ - 1] == pytest.approx(0.9, abs=0.01)
    assert np.abs(np.diff(smile)).max() < 0.25  # eased
    after = rest[:3]
    assert directed.apply(after, np.zeros(1920, np.float32), 6 * SECOND_NS) is after


@pytest.mark.parametrize("block", [1, 10])
def test_the_blocks_do_not_matter(block: int) -> None:
    values = generated(100)
    made = []
    for size in (3, block):
        directed = DirectedMotion()
        directed.push_gaze_target(GazeTarget(0.3, 0.1, 1.0), SECOND_NS + 1)
        directed.push_expression(Expression("surprised"), SECOND_NS // 2)
        directed.push_expression(Expression(), 2 * SECOND_NS)
        made.append(run(directed, values, block=size).tobytes())
    assert made[0] == made[1]


def test_a_command_that_comes_late_is_not_lost() -> None:
    directed, rest = DirectedMotion(), np.zeros((30, COUNT), np.float32)
    run(directed, rest)
    directed.push_expression(Expression("happy"), 0)
    assert column(run(directed, rest, first=30), "smile_left")[-1] > 0.8


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_speech_and_blinks_stay_whole(name: str) -> None:
    values, directed = generated(300), DirectedMotion()
    directed.push_expression(Expression(name), 0)
    made = run(directed, values, loud=True)
    jaw = np.corrcoef(column(values, "jaw_open"), column(made, "jaw_open"))[0, 1]
    assert jaw >= 0.97
    assert np.array_equal(column(values, "lips_close"), column(made, "lips_close"))
    closed = column(values, "lips_close") == 1.0
    before, after = (column(v, "upper_lip_raise")[closed] for v in (values, made))
    assert np.array_equal(before, after)
    shut = column(values, "blink_left") == 1.0
    assert (column(made, "blink_left")[shut] == 1.0).all()


def test_the_jaw_of_an_expression_is_for_silence() -> None:
    rest, jaws = np.zeros((50, COUNT), np.float32), []
    for loud in (False, True):
        directed = DirectedMotion()
        directed.push_expression(Expression("surprised"), 0)
        jaws.append(column(run(directed, rest, loud=loud), "jaw_open")[-1])
    assert jaws[0] > 0.3
    assert jaws[1] < 0.01


def test_eyes_go_first_then_the_head_and_together_they_meet_the_target() -> None:
    directed, rest = DirectedMotion(), np.zeros((150, COUNT), np.float32)
    target = GazeTarget.at(1.0, 0.5, 0.25, hold_s=3.0)  # left and up
    directed.push_gaze_target(target, SECOND_NS)
    made = run(directed, rest)
    x, y, yaw, pitch = (column(made, n) for n in ("gaze_x", "gaze_y", "head_yaw", "head_pitch"))
    early = FRAME_RATE_HZ + 4  # 160 ms later
    assert x[early] > 0.7
    assert y[early] > 0.5
    assert yaw[early] < 0.15
    late = 4 * FRAME_RATE_HZ - 1
    assert yaw[late] > 0.2
    assert pitch[late] < -0.05
    assert yaw[late] + x[late] * EYE_YAW_RAD == pytest.approx(target.yaw_rad, abs=0.01)
    assert pitch[late] - y[late] * EYE_PITCH_RAD == pytest.approx(target.pitch_rad, abs=0.01)
    assert not made[-1].any()  # two seconds after its time it is forgotten


def test_a_near_target_is_for_the_eyes_alone() -> None:
    directed, rest = DirectedMotion(), np.zeros((50, COUNT), np.float32)
    directed.push_gaze_target(GazeTarget(radians(5.0), 0.0), 0)
    made = run(directed, rest)
    assert not column(made, "head_yaw").any()
    assert column(made, "gaze_x")[-1] > 0.15


@pytest.mark.parametrize("wrong", [(-1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (np.nan, 0.0, 1.0),
                                   (1.0, np.inf, 0.0)])  # fmt: skip
def test_what_cannot_be_looked_at_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="look_at: expected a place"):
        GazeTarget.at(*wrong)


def test_a_target_is_held_for_a_finite_time() -> None:
    for hold_s in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="held"):
            GazeTarget(0.0, 0.0, hold_s)


def test_commands_that_wait_are_bounded() -> None:
    directed = DirectedMotion()
    for k in range(MAX_WAITING):
        directed.push_expression(Expression("sad"), k)
    with pytest.raises(ValueError, match="wait for their time"):
        directed.push_expression(Expression("sad"), 0)
