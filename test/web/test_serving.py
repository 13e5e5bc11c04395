"""A server in a thread: it says where a port is taken, bounds connections, and ends."""

from __future__ import annotations

import json
import logging
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from tiny import tiny_engine
from web_house import GreyFace, find_face

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.web import serving
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.live_stage import LiveStage
from avatar_forcing_ros.web.quiet_log import TALKATIVE
from avatar_forcing_ros.web.serving import Door, ServingThread


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate


def stage() -> LiveStage:
    avatar = Avatar(Session(tiny_engine(), GreyFace()), print)  # type: ignore[arg-type]
    return LiveStage(avatar, find_face)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_answers_until_it_is_stopped_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    door = Door(Access(local=True), "127.0.0.1", free_port())
    server = ServingThread(stage(), door)
    with urllib.request.urlopen(f"{door.url}/api/state", timeout=20) as reply:
        assert json.load(reply)["mode"] == "live"
    assert server.stop()
    assert {t for t in threading.enumerate() if not t.daemon} <= before
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{door.url}/", timeout=20)


def test_a_port_that_is_taken_is_told() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        door = Door(Access(local=True), "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OutputError, match="choose another with --port"):
            ServingThread(stage(), door)


def test_connections_are_not_without_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 3)
    door = Door(Access(local=True), "127.0.0.1", free_port())
    server = ServingThread(stage(), door)
    held = [socket.create_connection(("127.0.0.1", door.port), timeout=20) for _ in range(4)]
    assert_ended(held.pop())
    held[0].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert held[0].recv(100).startswith(b"HTTP/1.1 200")
    for line in held:
        line.close()
    assert server.stop()


def assert_ended(line: socket.socket) -> None:
    with closing(line), suppress(ConnectionResetError):
        assert line.recv(1) == b""
