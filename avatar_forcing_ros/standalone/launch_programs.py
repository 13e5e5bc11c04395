"""How programs that launch files name are started where there is no ROS."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone.launch_substitutions import OWN_PACKAGE, package_missing

_COMMAND_LINE = (sys.executable, "-m", f"{OWN_PACKAGE}.cli")
# verbs of ros2 that our command line has too, with the options that launch files use
_VERBS = ("bag", "topic")


def node_command(package: str, executable: str) -> list[str]:
    """What starts a node; raises ConfigError for those of other packages."""
    if package != OWN_PACKAGE:
        raise package_missing(package)
    return [*_COMMAND_LINE, "node", executable]


def program_command(words: Sequence[str]) -> list[str]:
    """What starts a program: ``avatar-forcing``, and ``ros2`` if it is not installed, are ours.

    Raises ConfigError for other uses of ``ros2``, and for programs that are not there.
    """
    program, *rest = words
    if program == "avatar-forcing":
        return [*_COMMAND_LINE, *rest]
    if shutil.which(program):
        return list(words)
    if program == "ros2" and rest and rest[0] in _VERBS:
        return [*_COMMAND_LINE, *rest]
    raise ConfigError(
        f"program '{program}'",
        expected="one that is installed",
        got=" ".join(words[:3]),
        remedy="install it; without ROS, of ros2's verbs there are " + " and ".join(_VERBS),
    )
