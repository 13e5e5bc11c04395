"""Messages as text for people: YAML, in which long arrays are shortened."""

from __future__ import annotations

import array
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml

from avatar_forcing_ros.errors import ConfigError

SHOWN_VALUES = 8
_STEP = re.compile(r"([A-Za-z]\w*)((?:\[\d+\])*)")


def picked(message: Any, path: str) -> Any:
    """The part of a message that a path such as ``audio.info.rate`` or ``names[2]`` means.

    Raises ConfigError for a path that leads nowhere.
    """
    value = message
    for step in path.split("."):
        match = _STEP.fullmatch(step)
        try:
            assert match is not None
            value = getattr(value, match[1])
            for index in re.findall(r"\d+", match[2]):
                value = value[int(index)]
        except (AssertionError, AttributeError, IndexError, TypeError):
            names = ", ".join(_fields(value)) or "a single value"
            raise ConfigError(
                f"--field {path}",
                expected=names,
                got=step,
                remedy="choose one of these; separate levels by dots",
            ) from None
    return value


def as_text(value: Any, shown_values: int | None = SHOWN_VALUES) -> str:
    """A message, or a part of one, as YAML without a line end; None shows arrays in full."""
    return "\n".join(_lines(value, shown_values))


def _fields(value: Any) -> Mapping[str, str]:
    ask = getattr(value, "get_fields_and_field_types", None)
    return ask() if ask else {}


def _lines(value: Any, shown: int | None) -> list[str]:
    """The value in block style, or, if it is one without fields, in a single line."""
    fields = _fields(value)
    if fields:
        lines = []
        for name in fields:
            inner = _lines(getattr(value, name), shown)
            nested = isinstance(inner, _Block)
            lines += (
                [f"{name}:", *(f"  {line}" for line in inner)]
                if nested
                else ([f"{name}: {inner[0]}"])
            )
        return _Block(lines)
    if isinstance(value, (list, tuple)) and value and _fields(value[0]):
        lines = []
        for item in value[:shown]:
            first, *rest = _lines(item, shown)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        if len(value) > len(value[:shown]):
            lines.append(f"# and {len(value) - len(value[:shown])} more")
        return _Block(lines)
    if isinstance(value, (list, tuple, bytes, bytearray, array.array, np.ndarray)):
        return [_flow(value, shown)]
    return ["{}" if hasattr(value, "_fields") else _scalar(value)]


class _Block(list[str]):
    """Lines that stand below their name instead of beside it."""


def _flow(values: Any, shown: int | None) -> str:
    first = values[:shown]
    plain = first.tolist() if hasattr(first, "tolist") else list(first)
    inner = [_scalar(value) for value in plain]
    if len(values) == len(first):
        return f"[{', '.join(inner)}]"
    return f"[{', '.join([*inner, '...'])}]  # {len(values)} values"


def _scalar(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=2**31)
    return text.removesuffix("\n").removesuffix("\n...")
