"""Where the files that ship with the package lie: weights, portraits, demo inputs.

In a source checkout they are beside the package; pip and colcon install them into ``share/``.
"""

from __future__ import annotations

from pathlib import Path

from avatar_forcing_ros.errors import ConfigError

_PACKAGE = Path(__file__).parent
_NAME = _PACKAGE.name


def shipped(relative: str) -> Path:
    """The path of a shipped file such as ``models/compact/generator.safetensors``.

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
