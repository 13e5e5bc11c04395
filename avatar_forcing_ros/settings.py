"""Metadata of configuration fields: help, unit, range, choices.

ROS parameters, command-line flags, launch arguments, the shipped YAML files and the README's
tables are made from this, so that a new setting is one field and its use.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast, get_type_hints

from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.strict import from_mapping, one_of, require

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One setting: a field of a configuration, and what is offered of it.

    `name` is that of the ROS parameter, `path` the fields that lead to it.
    """

    default: Any
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    """Lower bound that is not allowed itself."""
    step: int = 1
    choices: tuple[str, ...] = ()
    live: bool = False
    """It may change while the node runs."""
    file: bool = False
    """A path, in which ``~`` is the user's home."""
    offered: bool = True
    """Users may set it; otherwise code does."""
    of_preset: bool = False
    """Unless it is set, the preset decides."""
    same_as: str = ""
    """Unless it is set, it has the value of this setting."""
    formerly: str = ""
    """Its old name as a parameter and in files: deprecated, and taken with a warning."""
    old_flag: str = ""
    name: str = ""
    path: tuple[str, ...] = ()
    kind: Any = str

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-").replace(".", "-")

    @property
    def limits(self) -> str:
        """The values that are allowed, in words; empty where its type says all."""
        if self.choices:
            return ", ".join(self.choices)
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        if self.high is not None:
            return f"{self.low:g} to {self.high:g}{steps}"
        if self.above is not None:
            return f"above {self.above:g}"
        return "" if self.low is None else f"{self.low:g} or more"

    @property
    def summary(self) -> str:
        """Its help, limits and unit."""
        limits = " ".join(filter(None, (self.limits, self.unit)))
        return self.help + (f" [{limits}]" if limits else "")

    def check(self, name: str, value: Any) -> None:
        """Raise ConfigError, naming it, for a value that is not allowed."""
        if self.choices:
            require(name, value, one_of(self.choices, str(value)), value in self.choices)
        elif self.limits:
            low = -sys.float_info.max if self.low is None else self.low
            high = sys.float_info.max if self.high is None else self.high
            fits = low <= value <= high and (self.above is None or value > self.above)
            on_step = self.step == 1 or (value - low) % self.step == 0
            require(name, value, self.limits, fits and on_step)


def setting(default: T, help: str, **about: Any) -> T:
    """A configuration field with this default; `about` are further fields of `Setting`."""
    metadata = {"setting": Setting(default, help, **about)}
    if isinstance(default, list):
        return cast(T, field(default_factory=default.copy, metadata=metadata))
    return field(default=default, metadata=metadata)


def part(config: type[T], prefix: str = "") -> T:
    """A configuration field that holds another configuration.

    Parameters and flags begin with `prefix`; files have a section of the field's name.
    """
    return field(default_factory=config, metadata={"prefix": prefix})


class Config:
    """Base of configurations: values that are not allowed raise ConfigError."""

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]  # of those that inherit
            about, value = each.metadata.get("setting"), getattr(self, each.name)
            if about and about.file and value:
                object.__setattr__(self, each.name, str(user_path(value)))
            elif about:
                about.check(each.name, value)


@cache
def settings_of(config: type) -> tuple[Setting, ...]:
    """All settings that `config` and its parts offer."""
    hints, found = get_type_hints(config), []
    for each in fields(config):
        hint = hints[each.name]
        if is_dataclass(hint):
            prefix = each.metadata.get("prefix", "")
            for inner in settings_of(hint):  # type: ignore[arg-type]
                path = (each.name, *inner.path)
                found.append(replace(inner, name=prefix + inner.name, path=path))
        elif (about := each.metadata.get("setting")) and about.offered:
            found.append(replace(about, name=each.name, path=(each.name,), kind=hint))
    return tuple(found)


def nested(config: type, flat: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the `flat` values, by the settings' names, that `config` has, nested as it is."""
    values: dict[str, Any] = {}
    for each in settings_of(config):
        if each.name in flat:
            at = values
            for section in each.path[:-1]:
                at = at.setdefault(section, {})
            at[each.path[-1]] = flat[each.name]
    return values


def from_flat(config: type[T], flat: Mapping[str, Any], where: str = "parameters") -> T:
    """A configuration from values by the settings' names; names of others are left out.

    Raises ConfigError.
    """
    return from_mapping(config, nested(config, flat), where)
