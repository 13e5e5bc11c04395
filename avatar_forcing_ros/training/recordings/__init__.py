"""Real two-person recordings to conversations on disk: found, watched, judged, cut, reported."""

from avatar_forcing_ros.training.recordings.layouts import LAYOUTS
from avatar_forcing_ros.training.recordings.prepare import prepare
from avatar_forcing_ros.training.recordings.report import Report
from avatar_forcing_ros.training.recordings.settings import PrepareSettings

__all__ = ["LAYOUTS", "PrepareSettings", "Report", "prepare"]
