"""Who hears what, where the stage has a second sound beside the avatar's voice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame

KNEE = 0.7  # up to here a mixture stays as it is


def for_speaker(frame: AvatarFrame) -> NDArray[np.float32]:
    """What the robot hears ``[640]``, not the speaker's own words; else the avatar's voice."""
    robot = _robot_audio(frame)
    return frame.audio if robot is None else robot


def for_viewer(frame: AvatarFrame) -> NDArray[np.float32]:
    """The avatar's voice and what the robot hears ``[640]``."""
    robot = _robot_audio(frame)
    return frame.audio if robot is None else mixed(frame.audio, robot)


def mixed(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Both sounds ``[n]`` at once, in -1…1: loud places are bent down instead of cut off."""
    both = one + other
    loud = np.abs(both)
    if loud.max(initial=0.0) <= KNEE:
        return both
    room = 1.0 - KNEE
    bent = KNEE + room * np.tanh((loud - KNEE) / room)
    return np.where(loud <= KNEE, both, np.copysign(bent, both)).astype(np.float32)


def _robot_audio(frame: AvatarFrame) -> NDArray[np.float32] | None:
    return frame.robot_audio
