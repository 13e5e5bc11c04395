"""Expressions and gaze as somebody types them."""

from __future__ import annotations

import math

import pytest

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.offline.commands import expression_commands, gaze_commands
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.streaming.directed_motion import GazeTarget


def test_expressions_in_turn() -> None:
    happy, sad = Expression("happy"), Expression("sad")
    assert expression_commands("happy") == [(happy, 0)]
    assert expression_commands("Happy@1.5-2,sad@3") == [
        (happy, 1_500_000_000), (Expression(), 2_000_000_000), (sad, 3_000_000_000)]  # fmt: skip
    assert expression_commands("0.5/-0.25@1") == [
        (Expression(valence=0.5, arousal=-0.25), 1_000_000_000)
    ]


def test_gaze() -> None:
    (target, stamp_ns), = gaze_commands("20,5@2-4")  # fmt: skip
    assert target == GazeTarget(math.radians(20.0), -math.radians(5.0), 2.0)
    assert stamp_ns == 2_000_000_000


@pytest.mark.parametrize("wrong", ["", "joyful", "happy@x", "happy@3-2", "happy@-1", "2/0", "a/b"])
def test_wrong_expressions_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="--expression"):
        expression_commands(wrong)


@pytest.mark.parametrize("wrong", ["", "20", "20,x", "100,0", "20,5@4-2", "nan,0"])
def test_wrong_gaze_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="--look-at"):
        gaze_commands(wrong)
