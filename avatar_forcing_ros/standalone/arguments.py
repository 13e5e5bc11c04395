"""The command line after ``--ros-args``: remappings, parameters, log levels."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone import names
from avatar_forcing_ros.standalone.exceptions import UnknownROSArgsError

_FLAGS_WITHOUT_EFFECT = {
    "--enable-rosout-logs",
    "--enable-stdout-logs",
    "--enable-external-lib-logs",
    "--disable-external-lib-logs",
}


class _Loader(yaml.SafeLoader):
    """YAML as ROS reads it: ``1e3`` is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"),
    list("-+0123456789."),
)


def yaml_value(text: str) -> Any:
    """The Python value of a parameter as it is written in YAML."""
    return yaml.load(text, _Loader)


@dataclass(frozen=True)
class Remap:
    """``node:from:=to``; ``node`` is None where the rule is for all."""

    node: str | None
    source: str
    target: str


@dataclass
class Arguments:
    """What was found; ``parameters`` are (pattern of node names, values), later ones win."""

    remaps: list[Remap] = field(default_factory=list)
    parameters: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log_levels: list[tuple[str | None, str]] = field(default_factory=list)
    rosout: bool = True
    stdout: bool = True
    others: list[str] = field(default_factory=list)

    def node_name(self, name: str, namespace: str) -> tuple[str, str]:
        """(name, namespace) of a node after ``__node`` and ``__ns``."""
        new_name, new_namespace = name, namespace
        for rule in self.remaps:
            if rule.node in (None, name):
                if rule.source in ("__node", "__name"):
                    new_name = rule.target
                elif rule.source == "__ns":
                    new_namespace = names.full_namespace(rule.target)
        return new_name, new_namespace

    def remap(self, full: str, node: str, namespace: str, *, service: bool = False) -> str:
        """The absolute name that the first fitting rule gives to ``full``, or ``full``."""
        for rule in self.remaps:
            if rule.source.startswith("__") or rule.node not in (None, node):
                continue
            if names.expand(rule.source, node, namespace, service=service) == full:
                return names.expand(rule.target, node, namespace, service=service)
        return full

    def parameters_of(self, full_name: str) -> dict[str, Any]:
        """Parameter values for the node of that fully qualified name."""
        found: dict[str, Any] = {}
        for pattern, values in self.parameters:
            if _matches(pattern, full_name):
                found.update(values)
        return found


def _matches(pattern: str, full_name: str) -> bool:
    """Whether a pattern such as ``/**``, ``/*/node``, ``node`` or ``/ns/node`` fits."""
    tokens = [token for token in pattern.strip("/").split("/") if token]
    expression = ""
    for token in tokens:
        expression += {"**": "(/[^/]+)*", "*": "/[^/]+"}.get(token, "/" + re.escape(token))
    if not pattern.startswith("/") and tokens and "*" not in tokens[0]:
        expression = "/" + "/".join(re.escape(token) for token in tokens)
    return re.fullmatch(expression, full_name) is not None


def parse(args: Sequence[str]) -> Arguments:
    """Reads the ROS part of a command line; the rest is in ``others``.

    Raises UnknownROSArgsError for what ROS does not know, ConfigError for parameter files that
    cannot be used.
    """
    found = Arguments()
    inside = False
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--ros-args":
            inside = True
        elif not inside:
            found.others.append(word)
        elif word == "--":
            inside = False
        else:
            _ros_argument(found, word, rest)
    return found


def _ros_argument(found: Arguments, word: str, rest: list[str]) -> None:
    if word in _FLAGS_WITHOUT_EFFECT:
        return
    if word == "--disable-rosout-logs":
        found.rosout = False
        return
    if word == "--disable-stdout-logs":
        found.stdout = False
        return
    if not rest:
        raise UnknownROSArgsError(f"{word} (nothing follows it)")
    value = rest.pop(0)
    if word in ("-r", "--remap"):
        node, source, target = _rule(value)
        found.remaps.append(Remap(node, source, target))
    elif word in ("-p", "--param"):
        node, name, text = _rule(value)
        found.parameters.append((f"/**/{node}" if node else "/**", {name: yaml_value(text)}))
    elif word == "--params-file":
        found.parameters += read_parameters(Path(value))
    elif word == "--log-level":
        name, separator, level = value.partition(":=")
        found.log_levels.append((name, level) if separator else (None, value))
    elif word in ("-e", "--enclave"):
        raise NotImplementedError("--enclave (security) without a ROS installation")
    else:
        raise UnknownROSArgsError(word)


def _rule(text: str) -> tuple[str | None, str, str]:
    left, separator, right = text.partition(":=")
    if not separator or not left:
        raise UnknownROSArgsError(f"{text} (expected name:=value)")
    node, colon, name = left.rpartition(":")
    return (node if colon else None), name, right


def read_parameters(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(pattern of node names, parameters) in a ROS parameter file, in the file's order.

    Raises ConfigError for a file that is missing or is not of this kind.
    """
    try:
        content = yaml_value(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _bad_file(path, str(error)) from error
    if not isinstance(content, dict):
        raise _bad_file(path, "no mapping")
    return list(_nodes_in(path, content, ""))


def _nodes_in(path: Path, content: dict[Any, Any], above: str) -> Any:
    for key, inner in content.items():
        if not isinstance(inner, dict):
            raise _bad_file(path, f"'{key}' outside of ros__parameters")
        if key == "ros__parameters":
            yield above or "/**", flatten(inner)
        else:
            name = f"{above.rstrip('/')}/{str(key).lstrip('/')}" if above else str(key)
            yield from _nodes_in(path, inner, name)


def flatten(values: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _bad_file(path: Path, got: str) -> ConfigError:
    return ConfigError(
        f"parameter file {path}",
        expected="node names, below each 'ros__parameters' and its values",
        got=got,
        remedy="see config/avatar.yaml",
    )


def remove_ros_args(args: Sequence[str] | None = None) -> list[str]:
    """The command line without what is for ROS."""
    return parse(sys.argv if args is None else args).others
