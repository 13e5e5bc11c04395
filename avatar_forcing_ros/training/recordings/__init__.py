"""Real two-person recordings to training data: found, tracked, checked, cut, reported."""

from avatar_forcing_ros.training.recordings.prepare import prepare
from avatar_forcing_ros.training.recordings.report import Report
from avatar_forcing_ros.training.settings import PrepareSettings

__all__ = ["PrepareSettings", "Report", "prepare"]
