"""What the page asks of the face, out of JSON: an expression to show, a direction to look in."""

from __future__ import annotations

import math
from typing import Any

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.rig.expressions import EXPRESSIONS, Expression
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.backend import AvatarBackend

MAX_SHOWN = 40  # characters of what came, in a sentence


def read_expression(body: dict[str, Any]) -> Expression:
    """A `name` of EXPRESSIONS, or else `valence` and `arousal`, -1 to 1.

    Raises RefusedError (400) for anything else.
    """
    name = body.get("name")
    if name is None:
        _require_some(body, "expression", ("name", "valence", "arousal"))
        return Expression(
            valence=_number(body, "valence", 1.0), arousal=_number(body, "arousal", 1.0)
        )
    if not isinstance(name, str) or name.strip().lower() not in EXPRESSIONS:
        raise _bad("expression", f"one of {', '.join(EXPRESSIONS)}", name)
    return Expression(name.strip().lower())


def read_gaze_target(body: dict[str, Any]) -> GazeTarget:
    """Degrees `left`, the avatar's own, and `up` of straight ahead, -90 to 90.

    Raises RefusedError (400) for anything else.
    """
    _require_some(body, "look_at", ("left", "up"))
    left, up = _number(body, "left", 90.0), _number(body, "up", 90.0)
    return GazeTarget(yaw_rad=math.radians(left), pitch_rad=-math.radians(up))


def require_avatar(backend: AvatarBackend, what: str) -> None:
    """OutputError where there is no avatar to do `what`."""
    status = backend.status
    if not status.connected:
        raise OutputError(
            what,
            expected="an avatar to show it",
            got=status.warning,
            remedy="start avatar_node, with the same namespace and ROS_DOMAIN_ID",
        )


def _require_some(body: dict[str, Any], what: str, keys: tuple[str, ...]) -> None:
    if not any(key in body for key in keys):
        raise _bad(what, " or ".join(keys), ", ".join(map(str, body)) or None)


def _number(body: dict[str, Any], what: str, limit: float) -> float:
    """`body[what]`, 0 where it is missing."""
    value = body.get(what, 0.0)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not -limit <= value <= limit:  # NaN compares as False
        raise _bad(what, f"a number from {-limit:g} to {limit:g}", value)
    return float(value)


def _bad(what: str, expected: str, got: object) -> RefusedError:
    shown = "none" if got is None else repr(got)
    if len(shown) > MAX_SHOWN:
        shown = f"{shown[:MAX_SHOWN]}…"
    return RefusedError(400, what, expected=expected, got=shown, remedy="send one of these")
