"""Paths: of the files that ship with the package, and those that a user writes."""

from __future__ import annotations

import os
from pathlib import Path

from avatar_forcing_ros.errors import ConfigError

_PACKAGE = Path(__file__).parent
_NAME = _PACKAGE.name


def shipped(relative: str) -> Path:
    """The path of a shipped file such as ``models/compact/generator.safetensors``.

    In a source checkout they are beside the package; pip and colcon install them into ``share/``.
    Raises ConfigError where the installation lacks it.
    """
    roots = [_PACKAGE.parent] + [above / "share" / _NAME for above in _PACKAGE.parents]
    for root in roots:
        path = root / relative
        if path.exists():
            return path
    raise ConfigError(
        "shipped files",
        expected=relative,
        got=f"nothing of that name beside {_PACKAGE}",
        remedy="install the package again",
    )


def user_path(text: str) -> Path:
    """The path in `text`, with ``~`` expanded.

    A shell reads ``~`` at the beginning of a word only, so not in ``portrait:=~/me.jpg``, nor in
    ``--portrait=~/me.jpg``, and there is none where a YAML file or a launch file is read.
    """
    return Path(os.path.expanduser(text))
