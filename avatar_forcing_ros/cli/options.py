"""Command-line flags made from configurations, and the configuration that file and flags give."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from avatar_forcing_ros.config import AvatarConfig, LiveServerConfig, merged_config
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.settings import Setting, nested, settings_of
from avatar_forcing_ros.strict import (
    current_names,
    from_mapping,
    logger,
    merged,
    read_yaml,
    renamed,
)

SERVER = "server"  # section of a settings file


class _OldFlag(argparse.Action):
    """A flag that has another name now, which `const` is."""

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: Any = None
    ) -> None:
        logger.warning(renamed(option_string, self.const))
        setattr(namespace, self.dest, values)


def add_avatar_options(parser: argparse.ArgumentParser, *, live: bool = False) -> None:
    """Give `parser` the flags that `avatar_config` reads; `live` ones are of no use to files."""
    group = parser.add_argument_group("avatar")
    group.add_argument(
        "--config",
        type=user_path,
        metavar="YAML",
        help="settings file (config/settings.yaml has all); flags given here win over it",
    )
    for each in settings_of(AvatarConfig):
        if live or each.path[0] != "live":
            _add_flag(group, each)


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the flags that `server_config` reads."""
    group = parser.add_argument_group("serving")
    for each in settings_of(LiveServerConfig):
        _add_flag(group, each)


def avatar_config(options: argparse.Namespace) -> AvatarConfig:
    """The settings file, if one was named, and what the flags change in it."""
    file = _file(options)
    if isinstance(file, Mapping):
        file = {name: value for name, value in file.items() if name != SERVER}
    return merged_config(file, _given(options, AvatarConfig), _where(options))


def server_config(options: argparse.Namespace) -> LiveServerConfig:
    """The same of the section ``server`` of the settings file."""
    file = _file(options)
    section = file.get(SERVER, {}) if isinstance(file, Mapping) else {}
    if not isinstance(section, Mapping):
        return from_mapping(LiveServerConfig, section, SERVER)  # says what is wrong with it
    given = merged(current_names(LiveServerConfig, section), _given(options, LiveServerConfig))
    return from_mapping(LiveServerConfig, given, f"{_where(options)}.{SERVER}")


def _add_flag(group: Any, each: Setting) -> None:
    text = each.help if each.choices else each.summary
    if each.of_preset:
        text += " (default: the preset's own)"
    elif each.default != "":
        default = each.default if each.kind is not bool else "on" if each.default else "off"
        text += f" (default: {default})"
    about: dict[str, Any] = {"dest": each.name, "help": text.replace("%", "%%")}
    if each.kind is bool:
        group.add_argument(each.flag, action=argparse.BooleanOptionalAction, **about)
        return
    about |= {"type": each.kind, "metavar": _metavar(each)}
    group.add_argument(each.flag, **about)
    if each.old_flag:
        about |= {"help": argparse.SUPPRESS, "action": _OldFlag, "const": each.flag}
        group.add_argument(each.old_flag, **about)


def _metavar(each: Setting) -> str:
    if each.choices:
        return f"{{{','.join(each.choices)}}}"
    return "FILE" if each.file else {int: "N", float: "X"}.get(each.kind, "TEXT")


def _given(options: argparse.Namespace, config: type) -> dict[str, Any]:
    """What the flags say, nested as in a file."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    return nested(config, given)


def _file(options: argparse.Namespace) -> Any:
    return read_yaml(options.config) if options.config else {}


def _where(options: argparse.Namespace) -> str:
    return str(options.config.name) if options.config else "flags"
