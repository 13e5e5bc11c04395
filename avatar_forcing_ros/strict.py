"""Plain values to frozen dataclasses, strictly: every name, type and range is checked."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from avatar_forcing_ros.errors import ConfigError

T = TypeVar("T")


def require(name: str, value: Any, expected: str, holds: bool) -> None:
    """Raises ConfigError, naming it, unless the value of `name` `holds`."""
    if not holds:
        raise ConfigError(name, expected=expected, got=repr(value), remedy="correct the value")


def from_mapping(kind: type[T], values: Mapping[str, Any], where: str = "configuration") -> T:
    """A frozen configuration of `kind` from nested plain values, strictly.

    Raises ConfigError for an unknown key (naming the nearest known one), a value of another type
    or one out of range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            where,
            expected="a table of names and values",
            got=f"{type(values).__name__}",
            remedy="write one 'name: value' a line",
        )
    hints = get_type_hints(kind)
    known = {f.name: hints[f.name] for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    out: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(
                f"{where}: unknown key '{name}'",
                expected=one_of(known, str(name)),
                got=f"'{name}'",
                remedy="correct or remove it",
            )
        out[name] = _convert(known[name], value, f"{where}.{name}")
    return kind(**out)


def read_yaml(path: Path) -> dict[str, Any]:
    """The plain values in the YAML file at `path`; raises ConfigError."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            "configuration file",
            expected="a readable YAML file",
            got=f"{path}: {error.strerror or error}",
            remedy="check the path and its permissions",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            "configuration file",
            expected="valid YAML",
            got=f"{path}: {' '.join(str(error).split())}",
            remedy="correct the file at that place",
        ) from error
    return values if values is not None else {}


def override(config: T, **values: Any) -> T:
    """`config` with those of `values` that are not None, validated again."""
    given = {name: value for name, value in values.items() if value is not None}
    return dataclasses.replace(config, **given)  # type: ignore[type-var]


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(
            where,
            expected=f"a value of type {hint.__name__}",
            got=f"{value!r} ({type(value).__name__})",
            remedy="correct the value",
        )
    return value


def one_of(known: Mapping[str, Any], name: str) -> str:
    """All `known` names, and the one nearest to `name`."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f" (nearest: '{nearest[0]}')" if nearest else ""
    return f"one of {', '.join(names)}{hint}"
