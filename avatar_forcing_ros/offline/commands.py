"""Expressions and gaze for a rendering, as somebody types them."""

from __future__ import annotations

import math

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.streaming.directed_motion import GazeTarget

MAX_S = 24 * 3600.0


def expression_commands(text: str) -> list[tuple[Expression, int]]:
    """``NAME[@FROM[-TO]],…`` as expressions and their stamps; VALENCE/AROUSAL is one, too.

    Raises ConfigError for anything else.
    """
    commands = []
    for part in text.split(","):
        what, begin_s, end_s = _timed("--expression", part, "happy@2-5, or 0.7/0.3@2-5")
        valence, slash, arousal = what.partition("/")
        try:
            shown = (
                Expression(valence=float(valence), arousal=float(arousal))
                if slash
                else Expression(what.lower())
            )
        except ValueError as error:
            raise _refused("--expression", part, f"happy@2-5, or 0.7/0.3@2-5 ({error})") from None
        commands.append((shown, _ns(begin_s)))
        if end_s is not None:
            commands.append((Expression(), _ns(end_s)))
    return commands


def gaze_commands(text: str) -> list[tuple[GazeTarget, int]]:
    """``LEFT,UP[@FROM[-TO]]`` in degrees as targets and their stamps. Raises ConfigError."""
    example = "20,5@2-4: degrees to the avatar's left and up, then seconds"
    where, begin_s, end_s = _timed("--look-at", text, example)
    left, _, up = where.partition(",")
    try:
        yaw_rad, pitch_rad = math.radians(float(left)), -math.radians(float(up))
        hold_s = (MAX_S if end_s is None else end_s) - begin_s
        return [(GazeTarget(yaw_rad, pitch_rad, hold_s), _ns(begin_s))]
    except ValueError as error:
        raise _refused("--look-at", text, f"{example} ({error})") from None


def _timed(flag: str, text: str, example: str) -> tuple[str, float, float | None]:
    """What stands before ``@``, and the seconds after it; None: to the end."""
    what, at, times = text.strip().partition("@")
    begin, dash, end = times.partition("-")
    try:
        begin_s = float(begin) if at else 0.0
        end_s = float(end) if dash else None
    except ValueError:
        raise _refused(flag, text, example) from None
    if not what or not 0.0 <= begin_s < MAX_S or not (end_s is None or begin_s < end_s <= MAX_S):
        raise _refused(flag, text, example)
    return what, begin_s, end_s


def _ns(seconds: float) -> int:
    return round(1e9 * seconds)


def _refused(flag: str, text: str, example: str) -> ConfigError:
    return ConfigError(
        flag, expected=f"something like {example}", got=text, remedy="see 'render --help'"
    )
