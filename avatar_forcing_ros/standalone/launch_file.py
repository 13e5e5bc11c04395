"""Reads launch files, and says what arguments they take."""

from __future__ import annotations

import difflib
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.standalone.launch_actions import (
    DeclareLaunchArgument,
    LaunchDescription,
)
from avatar_forcing_ros.standalone.launch_context import LaunchContext
from avatar_forcing_ros.standalone.launch_modules import install_launch
from avatar_forcing_ros.standalone.launch_service import LaunchService


def find(name: str) -> Path:
    """The launch file at a path, or of that name in this package; raises ConfigError."""
    path = Path(name)
    if path.is_file():
        return path
    if path.name == name:
        folder = shipped("launch")
        if (folder / name).is_file():
            return folder / name
        got = f"none; this package has {', '.join(sorted(p.name for p in folder.glob('*.py')))}"
    else:
        got = "no file there"
    raise ConfigError(
        f"launch file {name}", expected="a file, or a name of ours", got=got, remedy="name another"
    )


def load(path: Path) -> LaunchDescription:
    """What the file's ``generate_launch_description`` returns; raises ConfigError without it."""
    install_launch()
    spec = importlib.util.spec_from_file_location(f"launch_file_{abs(hash(path))}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise _unusable(path, "no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    generate = getattr(module, "generate_launch_description", None)
    description = generate() if generate else None
    if not isinstance(description, LaunchDescription):
        raise _unusable(path, "no such function, or it returned something else")
    return description


def _unusable(path: Path, got: str) -> ConfigError:
    return ConfigError(
        f"launch file {path}",
        expected="a function generate_launch_description that returns a LaunchDescription",
        got=got,
        remedy="see launch/avatar.launch.py",
    )


def parse_arguments(words: Sequence[str]) -> dict[str, str]:
    """``name:=value`` words as a mapping; raises ConfigError for others."""
    found = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not (separator and name):
            raise ConfigError(
                "launch arguments",
                expected="name:=value",
                got=word,
                remedy="'--show-args' lists the names",
            )
        found[name] = value
    return found


def declared(description: LaunchDescription) -> list[DeclareLaunchArgument]:
    """The arguments of a launch file and of those it includes, each once."""
    found: dict[str, DeclareLaunchArgument] = {}
    for argument in description.arguments(LaunchContext()):
        found.setdefault(argument.name, argument)
    return list(found.values())


def arguments_text(path: Path) -> str:
    """Names, descriptions, choices and defaults of a launch file's arguments."""
    arguments = declared(load(path))
    if not arguments:
        return "No arguments."
    text = "Arguments (pass arguments as '<name>:=<value>'):\n"
    for argument in arguments:
        text += f"\n    '{argument.name}':\n        {argument.description}\n"
        if argument.choices is not None:
            text += f"        One of: {', '.join(argument.choices)}.\n"
        if argument.default_value is not None:
            text += f"        (default: '{LaunchContext().text(argument.default_value)}')\n"
    return text.rstrip("\n")


def launch(path: Path, arguments: Mapping[str, str], stop: threading.Event) -> int:
    """Runs a launch file until its end or until `stop`; returns an exit code.

    Raises ConfigError for arguments that it does not take.
    """
    description = load(path)
    known = [argument.name for argument in declared(description)]
    for name in arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise ConfigError(
                f"launch argument '{name}'",
                expected=f"one of {', '.join(known)}",
                got=f"'{name}'" + (f", nearest: '{near[0]}'" if near else ""),
                remedy="'--show-args' describes them",
            )
    return LaunchService(stop).run(description, arguments)
