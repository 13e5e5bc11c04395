"""A server in a thread: it reports a port in use, bounds connections, and ends."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from fakes import fake_session
from web_fixture import SIZE_PX, find_face

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.web import connection_limit, library_patches, serving
from avatar_forcing_ros.web.access import Access, is_local
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


def test_a_portrait_is_shown_as_the_avatar_is_before_its_background() -> None:
    avatar = Avatar(fake_session(SIZE_PX), print)

    def at_rest(portrait: Portrait) -> np.ndarray:
        return 255 - portrait.image

    live = LiveBackend(avatar, find_face, at_rest=at_rest)
    first = live.portrait
    assert (first == 255 - avatar.portrait.image).all()
    live.set_portrait(np.full((SIZE_PX, SIZE_PX, 3), 77, np.uint8)).result(20)
    assert (live.portrait == 255 - avatar.portrait.image).all()
    assert (live.portrait != first).any()
    live.restore_portrait()
    assert (live.portrait == first).all()


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


def test_an_avatar_with_nothing_behind_it_says_so_and_its_portrait_is_transparent() -> None:
    def at_rest(portrait: Portrait) -> np.ndarray:
        alpha = np.zeros((*portrait.image.shape[:2], 1), np.uint8)
        alpha[SIZE_PX // 2 :] = 255
        return np.dstack((portrait.image, alpha))

    avatar = Avatar(fake_session(SIZE_PX), print)
    live = LiveBackend(avatar, find_face, at_rest=at_rest)
    config = Endpoint(Access(local=True), "127.0.0.1", free_port())
    server = ServerThread(live, config)
    with urllib.request.urlopen(f"{config.url}/api/state", timeout=20) as reply:
        assert json.load(reply)["has_alpha"] is True
    with urllib.request.urlopen(f"{config.url}/api/portrait", timeout=20) as reply:
        shown = cv2.imdecode(np.frombuffer(reply.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert server.stop()
    assert shown is not None
    assert (shown[..., 3] == at_rest(avatar.portrait)[..., 3]).all()
    assert not backend().has_alpha


STUCK = """
import asyncio, sys, threading
from flash_backend import FlashBackend
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.recorder import Recorder
from avatar_forcing_ros.web.serving import Endpoint, serve_until_signal

def ready():
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    Recorder().start()
    print("ready", flush=True)

serve_until_signal(FlashBackend(), Endpoint(Access(True), "127.0.0.1", int(sys.argv[1])), ready)
"""


def test_it_ends_whatever_goes_on_and_leaves_no_recording(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, *sys.path))),
        "TMPDIR": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(free_port())],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            assert len(list(tmp_path.glob("avatar-*.mp4"))) == 1
            process.terminate()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert list(tmp_path.glob("avatar-*")) == []


def can_listen_on(host: str) -> bool:
    with suppress(OSError), closing(socket.create_server((host, 0), family=family(host))):
        return True
    return False


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"])
def test_the_addresses_that_are_printed_can_be_opened(host: str) -> None:
    if not can_listen_on(host):
        pytest.skip(f"this machine has no {host}")
    access = Access(is_local(host), "" if is_local(host) else "a-word-of-24-characters!")
    endpoint = Endpoint(access, host, free_port())
    server = ServerThread(backend(), endpoint)
    try:
        assert endpoint.url in endpoint.urls
        for url in endpoint.urls:
            with urllib.request.urlopen(url, timeout=20) as reply:
                assert reply.status == 200, url
    finally:
        assert server.stop()


@pytest.mark.parametrize(
    ("host", "urls"),
    [
        ("127.0.0.1", ["http://localhost:80"]),
        ("::1", ["http://[::1]:80"]),
        ("0.0.0.0", ["http://localhost:80", "http://192.0.2.7:80"]),
        ("::", ["http://[::1]:80", "http://[2001:db8::7]:80"]),
        ("", ["http://localhost:80", "http://192.0.2.7:80", "http://[2001:db8::7]:80"]),
        ("robot.example", ["http://robot.example:80"]),
    ],
)
def test_what_is_printed(host: str, urls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["2001:db8::7"] * use_ipv6 + ["192.0.2.7"] * use_ipv4

    monkeypatch.setattr(library_patches, "host_addresses", addresses)
    endpoint = Endpoint(Access(is_local(host)), host, 80)
    assert endpoint.urls == urls
    assert endpoint.url == urls[min(1, len(urls) - 1)]


def test_a_port_in_use_is_an_error() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = Endpoint(Access(local=True), "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OutputError, match="choose another with --port"):
            ServerThread(backend(), config)


REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_who_opens_many_connections_loses_their_own_oldest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(serving, "MAX_CONNECTIONS_PER_VISITOR", 3)
    config = Endpoint(Access(local=True), "127.0.0.1", free_port())
    server = ServerThread(backend(), config)
    other = connect(config, "127.0.0.9")
    held = [connect(config, "127.0.0.1") for _ in range(20)]
    for line in held[:17]:
        assert_ended(line)
    for line in (other, *held[17:]):
        line.sendall(REQUEST)
        assert line.recv(100).startswith(b"HTTP/1.1 200")
        line.close()
    assert server.stop()
    assert caplog.records == []


def test_many_visitors_do_not_lock_others_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(connection_limit, "ENDING", 1)
    config = Endpoint(Access(local=True), "127.0.0.1", free_port())
    server = ServerThread(backend(), config)
    held = [connect(config, f"127.0.0.{i}") for i in range(1, 40)]
    reply = next(filter(None, (opened(config) for _ in range(100))))  # those have to go first
    assert reply.headers["Server"] == "avatar-forcing"
    for line in held:
        line.close()
    assert server.stop()
    assert [one for one in caplog.records if "Assertion" in caplog.text] == []


def test_no_answer_tells_which_server_it_is_of() -> None:
    config = Endpoint(Access(local=True), "127.0.0.1", free_port())
    server = ServerThread(backend(), config)
    with closing(connect(config, "127.0.0.1")) as line:
        line.sendall(b"nonsense\r\n\r\n")
        answer = line.recv(1_000)
    assert b" 400 " in answer
    assert b"Server: avatar-forcing\r\n" in answer
    assert server.stop()


def opened(config: Endpoint) -> Any:
    """The page; None where the connection was refused."""
    with suppress(ConnectionError, urllib.error.URLError):
        return urllib.request.urlopen(config.url, timeout=20)
    return None


def connect(config: Endpoint, sender: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", config.port), 20, (sender, 0))


def assert_ended(line: socket.socket) -> None:
    with closing(line), suppress(ConnectionResetError):
        assert line.recv(1) == b""
