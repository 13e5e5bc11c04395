"""Commands to an avatar as messages, and back: an expression, a place to look at."""

from __future__ import annotations

import math
from typing import Any

from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import Header

from avatar_forcing_ros.msg import Expression as OwnExpression
from avatar_forcing_ros.nodes.ros4hri import hri_message
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.streaming.directed_motion import GazeTarget

# the same fields in a message of our own, where hri_msgs is not installed
EXPRESSION_MESSAGES = [kind for kind in (hri_message("Expression"), OwnExpression) if kind]


def msg_to_expression(msg: Any) -> Expression:
    """What an Expression message asks for; a name wins over valence and arousal.

    Raises ValueError for a name that does not exist, and for numbers beyond their range.
    """
    name = str(msg.expression).strip().lower()
    if name:
        return Expression(name)
    return Expression(valence=float(msg.valence), arousal=float(msg.arousal))


def expression_to_msg(expression: Expression, header: Header) -> Any:
    """The message for `expression`, the first of EXPRESSION_MESSAGES, with full confidence."""
    return EXPRESSION_MESSAGES[0](
        header=header,
        expression=expression.name,
        valence=float(expression.valence),
        arousal=float(expression.arousal),
        confidence=1.0,
    )


def gaze_target_to_msg(target: GazeTarget, header: Header) -> PointStamped:
    """A point in the direction of `target`, 1 m before the head (x forward, y left, z up)."""
    level_m = math.cos(target.pitch_rad)
    point = Point(
        x=level_m * math.cos(target.yaw_rad),
        y=level_m * math.sin(target.yaw_rad),
        z=-math.sin(target.pitch_rad),
    )
    return PointStamped(header=header, point=point)
