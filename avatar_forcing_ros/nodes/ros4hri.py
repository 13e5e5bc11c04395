"""ROS4HRI (REP-155): a face as action units of FACS, in and out, where hri_msgs is installed."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.nodes.convert_motion import Values, msg_to_values
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.rig.face_names import FACS_COUNT, FACS_WRITTEN, facs_to_rig, rig_to_facs

ACTION_UNITS = "FacialActionUnits"
_SURE: NDArray[np.float32] = FACS_WRITTEN.astype(np.float32)  # [99]


def hri_message(name: str) -> Any | None:
    """The message class of that name in hri_msgs, None where the package is not installed."""
    try:
        return getattr(importlib.import_module("hri_msgs.msg"), name, None)
    except ImportError:
        return None


def action_units_message(parameter: str) -> Any:
    """The class FacialActionUnits; raises ConfigError, naming `parameter`, where there is none."""
    message = hri_message(ACTION_UNITS)
    if message is None:
        raise ConfigError(
            f"parameter '{parameter}'",
            expected="the ROS package hri_msgs, whose FacialActionUnits are published",
            got="none that this Python can import",
            remedy="install ros-$ROS_DISTRO-hri-msgs, or build "
            "https://github.com/ros4hri/hri_msgs (branch humble-devel) in your workspace and "
            "source it; without a workspace run scripts/ros_messages",
        )
    return message


def motion_messages() -> list[Any]:
    """What ``user/motion`` may be published as: ours, and action units where there are any."""
    units = hri_message(ACTION_UNITS)
    return [AvatarMotion] if units is None else [AvatarMotion, units]


def motion_values(msg: Any) -> tuple[Values, tuple[str, ...]]:
    """Coefficients ``[K]`` of one of `motion_messages`, and names in it that are not known.

    Raises BadMessage where it cannot be used.
    """
    if isinstance(msg, AvatarMotion):
        return msg_to_values(msg)
    return action_units_to_values(msg), ()


def values_to_action_units(values: Values, header: Any) -> Any:
    """FacialActionUnits of coefficients ``[K]``: an intensity 0 to 1 for each unit of the rig.

    Those units have confidence 1, all others 0. Only where hri_msgs is installed.
    """
    message: Any = hri_message(ACTION_UNITS)
    return message(header=header, intensity=rig_to_facs(values), confidence=_SURE)


def action_units_to_values(msg: Any) -> Values:
    """Coefficients ``[K]``, both sides alike; a unit with confidence 0 was not seen and counts 0.

    Raises BadMessage for another number of units, values that are not finite, and where no unit
    has any confidence.
    """
    intensity, confidence = (np.array(a, np.float32) for a in (msg.intensity, msg.confidence))
    if intensity.shape != (FACS_COUNT,) or confidence.shape != (FACS_COUNT,):
        raise _bad(
            "size",
            f"{FACS_COUNT} intensities and confidences, the unit's number is its place",
            f"{intensity.size} and {confidence.size}",
        )
    if not (np.isfinite(intensity).all() and np.isfinite(confidence).all()):
        raise _bad("not_finite", "finite values", "some that are not")
    seen: NDArray[np.bool_] = confidence > 0.0
    if not seen.any():
        raise _bad("confidence", "a confidence above 0 for each unit that was seen", "0 for all")
    return facs_to_rig(np.where(seen, intensity, 0.0))


def _bad(reason: Any, expected: str, got: str) -> BadMessage:
    return BadMessage(
        reason,
        "action units",
        expected=expected,
        got=got,
        remedy="check the node that publishes them",
    )
