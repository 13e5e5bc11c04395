"""The substitutions of ``launch`` and ``launch_ros``."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.standalone.launch_context import (
    LaunchContext,
    Substitution,
    Text,
    refuse,
)

OWN_PACKAGE = __name__.partition(".")[0]


def package_missing(name: str) -> ConfigError:
    """The error for a package of ROS that a launch file needs."""
    return ConfigError(
        f"ROS package '{name}'",
        expected=f"{OWN_PACKAGE}, the only one there is without a ROS installation",
        got=f"'{name}'",
        remedy="source ROS, or leave out the argument that asks for it",
    )


class TextSubstitution(Substitution):
    """A text that is known."""

    def __init__(self, *, text: str) -> None:
        self.text = text

    def perform(self, context: LaunchContext) -> str:
        """The text."""
        return self.text


class LaunchConfiguration(Substitution):
    """The value of an argument; raises ConfigError where there is none."""

    def __init__(self, variable_name: Text, *, default: Any = None) -> None:
        self._name = variable_name
        self._default = default

    def perform(self, context: LaunchContext) -> str:
        """The value, or the default."""
        name = context.text(self._name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self._default is None:
            raise ConfigError(
                f"launch argument '{name}'",
                expected="it to be declared before it is used",
                got="no value",
                remedy=f"give {name}:=VALUE, or declare it in the launch file",
            )
        if isinstance(self._default, (bool, int, float)):
            return str(self._default)
        return context.text(self._default)


class EnvironmentVariable(Substitution):
    """The value of an environment variable; raises ConfigError where there is none."""

    def __init__(self, name: Text, *, default_value: Text | None = None) -> None:
        self._name = name
        self._default = default_value

    def perform(self, context: LaunchContext) -> str:
        """The value, or the default."""
        name = context.text(self._name)
        if name in context.environment:
            return context.environment[name]
        if self._default is None:
            raise ConfigError(
                f"environment variable {name}",
                expected="it to be set",
                got="nothing",
                remedy=f"export {name}=…",
            )
        return context.text(self._default)


class PathJoinSubstitution(Substitution):
    """A path of parts."""

    def __init__(self, substitutions: Iterable[Text | Iterable[Text]]) -> None:
        self._parts = list(substitutions)

    def perform(self, context: LaunchContext) -> str:
        """The path."""
        return os.path.join(*(context.text(part) for part in self._parts))


class PythonExpression(Substitution):
    """The value of an expression in Python, as text."""

    def __init__(self, expression: Text | Iterable[Text], **extra: Any) -> None:
        refuse("PythonExpression", extra)
        self._expression = expression

    def perform(self, context: LaunchContext) -> str:
        """The value."""
        return str(eval(context.text(self._expression), {"math": math}, dict(vars(math))))


class EqualsSubstitution(Substitution):
    """Whether two texts are equal: ``true`` or ``false``."""

    equal = True

    def __init__(self, left: Text | Iterable[Text], right: Text | Iterable[Text]) -> None:
        self._left, self._right = left, right

    def perform(self, context: LaunchContext) -> str:
        """``true`` or ``false``."""
        same = context.text(self._left) == context.text(self._right)
        return str(same == self.equal).lower()


class NotEqualsSubstitution(EqualsSubstitution):
    """Whether two texts differ."""

    equal = False


class FindPackageShare(Substitution):
    """Where the shipped files of a package are: ours alone; raises ConfigError for others."""

    def __init__(self, package: Text | Iterable[Text]) -> None:
        self._package = package

    def perform(self, context: LaunchContext) -> str:
        """The folder that holds ``config`` and ``launch``."""
        name = context.text(self._package)
        if name != OWN_PACKAGE:
            raise package_missing(name)
        return str(shipped("config").parent)


class ExecutableInPackage(Substitution):
    """A program of a package: ours alone; raises ConfigError for others."""

    def __init__(self, executable: Text | Iterable[Text], package: Text | Iterable[Text]) -> None:
        self._executable = executable
        self._package = package

    def perform(self, context: LaunchContext) -> str:
        """Its bare name, which ``launch_programs`` knows how to start."""
        name = context.text(self._package)
        if name != OWN_PACKAGE:
            raise package_missing(name)
        return context.text(self._executable)
