"""A server in a thread: it reports a port in use, bounds connections, and ends."""

from __future__ import annotations

import json
import logging
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress

import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from fakes import fake_session
from web_fixture import SIZE_PX, find_face

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.web import serving
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import LiveBackend
from avatar_forcing_ros.web.middleware import LIMITED_LOGGERS
from avatar_forcing_ros.web.serving import Endpoint, ServerThread


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in LIMITED_LOGGERS]
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate


def backend() -> LiveBackend:
    avatar = Avatar(fake_session(SIZE_PX), lambda where, text: print(where, text))
    return LiveBackend(avatar, find_face)


def test_the_seed_of_a_conversation_is_told_when_it_ends() -> None:
    told: list[str] = []
    avatar = Avatar(fake_session(SIZE_PX), print)
    live, came = LiveBackend(avatar, find_face, report=told.append), threading.Event()
    live.stop()
    assert told == []  # none was had
    live.start(lambda frame: came.set(), lambda view: None)
    silence = np.zeros(16_000, np.float32)
    live.push_avatar_audio(AudioChunk(silence, 16_000, live.now_ns()))
    assert came.wait(20)
    seed = live.status.seed
    live.stop()
    assert [line.split()[-2:] for line in told] == [["seed", str(seed)]]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_answers_until_it_is_stopped_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    config = Endpoint(Access(local=True), "127.0.0.1", free_port())
    server = ServerThread(backend(), config)
    with urllib.request.urlopen(f"{config.url}/api/state", timeout=20) as reply:
        assert json.load(reply)["mode"] == "live"
    assert server.stop()
    assert {t for t in threading.enumerate() if not t.daemon} <= before
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{config.url}/", timeout=20)


def test_a_port_in_use_is_an_error() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = Endpoint(Access(local=True), "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OutputError, match="choose another with --port"):
            ServerThread(backend(), config)


def test_connections_are_not_without_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 3)
    config = Endpoint(Access(local=True), "127.0.0.1", free_port())
    server = ServerThread(backend(), config)
    held = [socket.create_connection(("127.0.0.1", config.port), timeout=20) for _ in range(4)]
    assert_ended(held.pop())
    held[0].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert held[0].recv(100).startswith(b"HTTP/1.1 200")
    for line in held:
        line.close()
    assert server.stop()


def assert_ended(line: socket.socket) -> None:
    with closing(line), suppress(ConnectionResetError):
        assert line.recv(1) == b""
