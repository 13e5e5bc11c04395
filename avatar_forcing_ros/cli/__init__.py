"""The command line: ``avatar-forcing COMMAND``. It parses and reports; the work is elsewhere."""

from avatar_forcing_ros.cli.entry import main

__all__ = ["main"]
