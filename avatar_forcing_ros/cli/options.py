"""Command-line flags made from configurations, and the configuration that file and flags give."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, TypeVar

from avatar_forcing_ros.config import (
    AvatarConfig,
    LiveServerConfig,
    ResponderConfig,
    SpeechConfig,
    merged_config,
)
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

# sections of a settings file beside the avatar's own
SECTIONS: dict[type, str] = {
    LiveServerConfig: "server",
    SpeechConfig: "speech",
    ResponderConfig: "responder",
}
T = TypeVar("T")


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
    _add_section(parser, LiveServerConfig, "serving")


def add_speech_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the flags that `speech_config` and `responder_config` read."""
    _add_section(parser, SpeechConfig, "speech, for texts and answers")
    _add_section(parser, ResponderConfig, "answers")


def _add_section(parser: argparse.ArgumentParser, config: type, title: str) -> None:
    group = parser.add_argument_group(title)
    for each in settings_of(config):
        _add_flag(group, each)


def avatar_config(options: argparse.Namespace) -> AvatarConfig:
    """The settings file, if one was named, and what the flags change in it."""
    file = _file(options)
    if isinstance(file, Mapping):
        file = {name: value for name, value in file.items() if name not in SECTIONS.values()}
    return merged_config(file, _given(options, AvatarConfig), _where(options))


def server_config(options: argparse.Namespace) -> LiveServerConfig:
    """The same of the section ``server`` of the settings file."""
    return _section_config(LiveServerConfig, options)


def speech_config(options: argparse.Namespace) -> SpeechConfig:
    """The same of the section ``speech``."""
    return _section_config(SpeechConfig, options)


def responder_config(options: argparse.Namespace) -> ResponderConfig:
    """The same of the section ``responder``."""
    return _section_config(ResponderConfig, options)


def _section_config(config: type[T], options: argparse.Namespace) -> T:
    name = SECTIONS[config]
    file = _file(options)
    section = file.get(name, {}) if isinstance(file, Mapping) else {}
    if not isinstance(section, Mapping):
        return from_mapping(config, section, name)  # says what is wrong with it
    given = merged(current_names(config, section), _given(options, config))
    return from_mapping(config, given, f"{_where(options)}.{name}")


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
