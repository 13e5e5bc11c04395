"""What listens and answers, as the settings name it: programs, or servers by their addresses."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from avatar_forcing_ros.config import ResponderConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.responder.protocol import Listener, Partner, Responder

MAX_KEY_LENGTH = 4_000  # characters
KEY_VARIABLE = "AVATAR_FORCING_{who}_KEY"
HTTP, WEBSOCKET = ("http", "https"), ("ws", "wss")


def partner_of(config: ResponderConfig) -> Partner:
    """Nothing has been started or connected yet. Raises ConfigError for what cannot be used."""
    if config.responder and not config.listener:
        raise ConfigError(
            "responder",
            expected="a listener beside it, which writes down what the user says",
            got="none",
            remedy="name one with --listener",
        )
    return Partner(_listener(config), _responder(config), config)


def _listener(config: ResponderConfig) -> Listener | None:
    where = config.listener
    if not where:
        return None
    if scheme := _scheme("listener", where):
        key = _key("listener", config.listener_key_file)
        if scheme in WEBSOCKET:
            from avatar_forcing_ros.responder.realtime import RealtimeListener

            return RealtimeListener(where, config.listener_model, key)
        from avatar_forcing_ros.responder.endpoints import TranscriptionEndpoint

        return TranscriptionEndpoint(where, config.listener_model, key)
    from avatar_forcing_ros.responder.programs import ListenerProgram

    return ListenerProgram(_words("listener", where))


def _responder(config: ResponderConfig) -> Responder | None:
    where = config.responder
    if not where:
        return None
    if scheme := _scheme("responder", where):
        key = _key("responder", config.responder_key_file)
        if scheme in WEBSOCKET:
            from avatar_forcing_ros.responder.realtime import RealtimeResponder

            return RealtimeResponder(where, config.responder_model, key, config.responder_prompt)
        from avatar_forcing_ros.responder.endpoints import ChatEndpoint

        return ChatEndpoint(where, config.responder_model, key, config.responder_prompt)
    from avatar_forcing_ros.responder.programs import ResponderProgram

    return ResponderProgram(_words("responder", where), config.responder_prompt)


def _scheme(who: str, where: str) -> str:
    """How the URL begins; empty for none at all, ConfigError for one that cannot be used."""
    if "://" not in where.split(" ")[0]:
        return ""
    try:
        parts = urlsplit(where)
        usable = parts.scheme in HTTP + WEBSOCKET and bool(parts.hostname) and (parts.port or 1)
    except ValueError:
        parts, usable = None, False
    if not usable or not parts or parts.query or parts.fragment:
        examples = "an address such as http://localhost:8000/v1 or ws://localhost:8000/v1"
        raise _unusable(who, examples, repr(where[:80]))
    if parts.username is not None or parts.password is not None:  # others see command lines
        raise _unusable(who, f"a key in a file (--{who}-key-file)", "one in the address")
    return parts.scheme


def _words(who: str, command: str) -> list[str]:
    """The program's path and its arguments; ConfigError where there is none."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _unusable(who, "a program and its arguments", f"{command[:80]!r}: {error}") from None
    path = shutil.which(words[0]) if words else None
    if path is None:
        raise _unusable(who, "an installed program, or an http or ws address", repr(command[:80]))
    return [path, *words[1:]]


def _key(who: str, file: str) -> str:
    """The key in the file, else in the environment, else none; ConfigError for no key at all."""
    variable = KEY_VARIABLE.format(who=who.upper())
    what, key = variable, os.environ.get(variable, "").strip()
    if file:
        what = f"key file {file}"
        try:
            with Path(file).open(encoding="ascii") as opened:
                key = opened.read(MAX_KEY_LENGTH + 1).strip()
        except (OSError, UnicodeDecodeError) as error:
            got = getattr(error, "strerror", None) or "bytes that are no plain text"
            raise _unusable(what, "a file with one word", got) from None
    is_word = key.isascii() and key.isprintable() and len(key.split()) == 1
    if (file or key) and not (is_word and len(key) <= MAX_KEY_LENGTH):
        raise _unusable(what, "one word of plain characters", "something else")
    return key


def _unusable(what: str, expected: str, got: str) -> ConfigError:
    return ConfigError(what, expected=expected, got=got, remedy="correct it")
