"""What listens and answers is checked before anything begins; keys come from files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from avatar_forcing_ros.config import ResponderConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.responder import partner
from avatar_forcing_ros.responder.endpoints import ChatEndpoint, TranscriptionEndpoint
from avatar_forcing_ros.responder.partner import partner_of
from avatar_forcing_ros.responder.programs import ListenerProgram, ResponderProgram
from avatar_forcing_ros.responder.realtime import RealtimeListener, RealtimeResponder


def test_nothing_listens_by_default() -> None:
    made = partner_of(ResponderConfig())
    assert (made.listener, made.responder) == (None, None)


def test_an_address_is_a_server_and_anything_else_a_program() -> None:
    config = ResponderConfig(listener="http://localhost:1/v1", responder="https://[::1]:2")
    made = partner_of(config)
    assert isinstance(made.listener, TranscriptionEndpoint)
    assert isinstance(made.responder, ChatEndpoint)
    assert made.config is config
    made = partner_of(ResponderConfig(listener="ws://localhost:1/v1", responder="wss://[::1]:2"))
    assert isinstance(made.listener, RealtimeListener)
    assert isinstance(made.responder, RealtimeResponder)
    words = f"{sys.executable} 'a b'"
    made = partner_of(ResponderConfig(listener=words, responder=words))
    assert isinstance(made.listener, ListenerProgram)
    assert isinstance(made.responder, ResponderProgram)
    assert partner_of(ResponderConfig(listener=words)).responder is None


@pytest.mark.parametrize(
    ("listener", "responder", "sentence"),
    [
        ("", sys.executable, "a listener beside it"),
        ("no-such-program -x", "", "an installed program"),
        ("say 'this", "", "a program and its arguments"),
        ("ftp://localhost:1", "", "an address such as"),
        ("ws://", "", "an address such as"),
        ("wss://localhost/v1/realtime?model=a", "", "an address such as"),
        ("http://", "", "an address such as"),
        ("http://localhost:99999", "", "an address such as"),
        ("http://localhost/v1?key=secret", "", "an address such as"),
        ("http://me:secret@localhost", "", "a key in a file"),
        (sys.executable, "http://key@localhost", "a key in a file"),
        (sys.executable, "wss://key@localhost", "a key in a file"),
    ],
)
def test_what_cannot_be_used_is_refused(listener: str, responder: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        partner_of(ResponderConfig(listener=listener, responder=responder))
    if "@" in listener:
        assert "secret" not in str(caught.value)


def test_keys_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    class Noted(ChatEndpoint):
        def __init__(self, url: str, model: str, key: str, prompt: str) -> None:
            given.append(key)

    monkeypatch.setattr("avatar_forcing_ros.responder.endpoints.ChatEndpoint", Noted)
    file = tmp_path / "key"
    plain = {"listener": sys.executable, "responder": "http://localhost:1"}
    partner_of(ResponderConfig(**plain))
    monkeypatch.setenv("AVATAR_FORCING_RESPONDER_KEY", "of-the-environment\n")
    partner_of(ResponderConfig(**plain))
    file.write_text("of-the-file\n")
    partner_of(ResponderConfig(**plain, responder_key_file=str(file)))
    assert given == ["", "of-the-environment", "of-the-file"]
    for bad in ("", "two words", "a\tb", "x" * (partner.MAX_KEY_LENGTH + 1)):
        file.write_text(bad)
        with pytest.raises(ConfigError, match="one word"):
            partner_of(ResponderConfig(**plain, responder_key_file=str(file)))
    with pytest.raises(ConfigError, match="No such file"):
        partner_of(ResponderConfig(**plain, responder_key_file=str(tmp_path / "none")))
