"""The namespaces of several avatars in one process."""

from __future__ import annotations

import re

from avatar_forcing_ros.errors import ConfigError

MAX_AVATARS = 32
"""More than any machine serves: each has some twenty topics and services and a dozen threads."""
_NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


def namespaces(above: str, names: str) -> list[str]:
    """The full namespace of each of `names`, which have commas between them, under `above`.

    Raises ConfigError for one that ROS does not allow, one that comes twice, and too many.
    """
    parts = [part.strip() for part in names.split(",") if part.strip()]
    for part in parts:
        if not _NAME.fullmatch(part):
            raise _refused("names of letters, digits and underscores, and no digit in front", part)
    twice = [part for part in parts if parts.count(part) > 1]
    if twice or not parts:
        raise _refused("names that differ", f"{twice[0]} twice" if twice else names)
    if len(parts) > MAX_AVATARS:
        raise _refused(f"at most {MAX_AVATARS} avatars in a process", f"{len(parts)}")
    return [f"{above.rstrip('/')}/{part}" for part in parts]


def _refused(expected: str, got: str) -> ConfigError:
    return ConfigError(
        "parameter 'avatars'",
        expected=expected,
        got=got,
        remedy="correct it, such as avatars:=left,right; for more, start a second process",
    )
